"""What a library of prototypes has learnt: small networks whose parameters it keeps as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from aiida_alphacrystal.engine.errors import ModelError

__all__ = ('Learnt',)


class Learnt(nn.Module):
    """A network that a library keeps.

    :cvar what: what it gives, in messages.
    """

    what: ClassVar[str]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float32]]) -> Self:
        """Return the network with parameters that were learnt before.

        :param arrays: parameters by name, as :meth:`to_arrays` gives them.
        :raises ModelError: if they are not those of this network.
        """
        model = cls()
        try:
            model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        except RuntimeError as error:
            message = f'The library holds other {cls.what}: build it with aiida-alphacrystal train templates.'
            raise ModelError(message) from error
        return model.eval()

    def to_arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the parameters by name."""
        return {name: value.detach().numpy().copy() for name, value in self.state_dict().items()}
