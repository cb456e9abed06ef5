"""Low-rank representations (thesis chapter 6): activations of a hidden layer that lie in few dimensions.

:mod:`layer` is the regulariser, whose ranks :mod:`nystrom` cuts; :mod:`alternatives` are what it is compared with;
:mod:`effective_rank`, :mod:`stability`, :mod:`max_margin` and :mod:`compression` are what representations are judged
by. Knows no data and no training loop.
"""
