"""What tells a training that its numbers have stopped being finite, and finds the place where they did.

Every step's loss and, after an epoch, all parameters are held to be finite by `portable_bp.training`; `looking` sees
what these don't show, and `locating` names step, layer and array, with what was measured there for a cause.
"""
