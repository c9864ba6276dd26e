"""Celery tasks: each only calls a plain function that can be run twice, late or at the same time."""

from celery import shared_task

from spinetrial.analysis import simulations


@shared_task(name="spinetrial.analysis.tasks.run_simulations")
def run_simulations() -> None:
    """When one is asked for, and every few minutes: run the simulations that wait."""
    simulations.SIMULATIONS.do_run_waiting()
