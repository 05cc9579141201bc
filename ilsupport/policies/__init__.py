"""Policies: one head a file, one protocol for all (page 1; pages 7 and 8 add heads)."""
from ilsupport.policies.base import MLP, Policy
from ilsupport.policies.categorical import Categorical
from ilsupport.policies.gaussian import Gaussian
from ilsupport.policies.seeing import Seeing

__all__ = ["MLP", "Categorical", "Gaussian", "Policy", "Seeing"]
