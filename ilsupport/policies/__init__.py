"""Policies: one head a file, one base for all (page 1; pages 7 and 8 add heads)."""
from ilsupport.policies.base import Head, Policy
from ilsupport.policies.categorical import Categorical
from ilsupport.policies.chunking import Chunked, chunks
from ilsupport.policies.diffusion import Diffusion
from ilsupport.policies.discretised import Discretised
from ilsupport.policies.flow import Flow
from ilsupport.policies.gaussian import Gaussian
from ilsupport.policies.latent import Latent
from ilsupport.policies.mixture import Mixture
from ilsupport.policies.network import MLP
from ilsupport.policies.recurrent import GRU
from ilsupport.policies.seeing import Seeing
from ilsupport.policies.transformer import Transformer
from ilsupport.policies.view import View

__all__ = ["GRU", "MLP", "Categorical", "Chunked", "Diffusion", "Discretised", "Flow", "Gaussian", "Head",
           "Latent", "Mixture", "Policy", "Seeing", "Transformer", "View", "chunks"]
