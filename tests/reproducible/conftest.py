import pytest

from portable_bp.reproducible import with_arithmetic


@pytest.fixture(scope="session")
def reproducible(backend):
    """Each backend that can run here, with reproducible arithmetic."""
    return with_arithmetic(backend, "reproducible")
