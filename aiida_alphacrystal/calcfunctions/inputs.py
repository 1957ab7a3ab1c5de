"""Inputs that a prediction has in common with the jobs that it hands its stages to."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_alphacrystal.data import ModelData

__all__ = ('define_model_inputs', 'define_seed')

_WEIGHTS = {
    'distances': 'Weights of the distance network.',
    'cells': 'Weights of the cell predictor.',
    'templates': 'Library of prototypes.',
}


def define_model_inputs(spec: Any) -> None:
    """Give a process the trained weights as inputs, by default those of the package.

    :param spec: the process specification.
    """
    spec.input_namespace('models', help='Trained weights; those of the package by default.')
    for purpose in ModelData.PURPOSES:
        spec.input(
            f'models.{purpose}',
            valid_type=ModelData,
            default=lambda purpose=purpose: ModelData.shipped(purpose),
            help=_WEIGHTS[purpose],
        )


def define_seed(spec: Any) -> None:
    """Give a process the seed as an input.

    :param spec: the process specification.
    """
    spec.input(
        'seed',
        valid_type=orm.Int,
        serializer=orm.to_aiida_type,
        default=lambda: orm.Int(0),
        help='Every random draw follows from it.',
    )
