"""Label noise and representations as causes of adversarial error (thesis chapter 5), and training that resists.

:mod:`injection` spoils labels, :mod:`toy_mnist` and :mod:`plane` make the thesis's synthetic data, :mod:`pgd` attacks
float networks, :mod:`adversarial_training` trains against it, :mod:`memorisation` tells which rows are learnt by heart,
:mod:`fine_to_coarse` predicts by finer classes. Knows no experiments and no data files.
"""
