"""Groups of the plugin: families of weights that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from aiida import orm

from aiida_alphacrystal.data import ModelData
from aiida_alphacrystal.engine.errors import ModelError

__all__ = ('ModelFamily',)


class ModelFamily(orm.Group):
    """Weights for some or all stages that were made together, one for each stage at most."""

    @classmethod
    def create(cls, label: str, models: Mapping[str, ModelData], description: str = '') -> Self:
        """Return a new family with weights, or the one that holds just these already.

        :param label: label of the family.
        :param models: weights by purpose.
        :param description: one sentence about them.
        :raises ModelError: if another family has the label, or weights are given for the wrong stage.
        """
        for purpose, model in models.items():
            if model.purpose != purpose:
                raise ModelError(f'The weights given for {purpose} were made for {model.purpose}.')
        if not models:
            raise ModelError('A family without weights is of no use: give at least one file.')
        known = cls.find(label)
        if known is not None:
            if {purpose: model.sha256 for purpose, model in known.models.items()} != {
                purpose: model.sha256 for purpose, model in models.items()
            }:
                raise ModelError(f'The family {label!r} exists and holds other weights: give another label.')
            return known
        family = cls(label=label, description=description).store()
        family.add_nodes([model if model.is_stored else model.store() for model in models.values()])
        return family

    @classmethod
    def find(cls, label: str) -> Self | None:
        """Return the family of a label, or None.

        :param label: its label.
        """
        found: Self | None = orm.QueryBuilder().append(cls, filters={'label': label}).first(flat=True)
        return found

    @classmethod
    def load(cls, label: str) -> Self:
        """Return the family of a label.

        :param label: its label.
        :raises ModelError: if there is none.
        """
        found = cls.find(label)
        if found is None:
            raise ModelError(
                f'There is no family of weights {label!r}: `verdi data alphacrystal models list` lists those there are.'
            )
        return found

    @property
    def models(self) -> dict[str, ModelData]:
        """Return the weights by purpose."""
        found = {node.purpose: node for node in self.nodes}
        return {purpose: found[purpose] for purpose in ModelData.PURPOSES if purpose in found}

    def add_nodes(self, nodes: Any) -> None:
        """Add weights.

        :param nodes: one node or several.
        :raises TypeError: if one of them holds no weights.
        :raises ValueError: if there are two of them for one stage.
        """
        new = list(nodes) if isinstance(nodes, list | tuple) else [nodes]
        if not all(isinstance(node, ModelData) for node in new):
            raise TypeError('A family holds nothing but weights: give nodes of type alphacrystal.model.')
        every = {node.uuid: node.purpose for node in (*self.nodes, *new)}
        if len(set(every.values())) < len(every):
            raise ValueError('A family holds weights for each stage once: make another family.')
        super().add_nodes(new)
