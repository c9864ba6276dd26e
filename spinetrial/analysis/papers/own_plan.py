"""The plan of this trial: its printed power and size, and its power when both arms are equal."""

from __future__ import annotations

from spinetrial.analysis.papers.model import POWER, Check, Listing, Paper, Printed, Result
from spinetrial.analysis.papers.pieces import fixed, per_cent, whole, words
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.design import (
    ExactTest,
    PlanningVariance,
    exact_noninferiority_power,
    inflate_for_loss,
    noninferiority_power,
    noninferiority_size,
)
from spinetrial.stats.estimate import Estimate, known


def paper(protocol: Protocol) -> Paper:
    hypothesis, assumed = protocol.primary.hypothesis, protocol.assumed_rates
    margin, alpha, n = hypothesis.margin, hypothesis.alpha, assumed.evaluable_per_arm
    total = protocol.sample_size.total
    labels = {
        PlanningVariance.POOLED: _("Normal approximation, pooled variance"),
        PlanningVariance.UNPOOLED: _("Normal approximation, unpooled variance"),
        PlanningVariance.FARRINGTON_MANNING: _("Normal approximation, Farrington-Manning variance"),
    }

    def normal_power(method: PlanningVariance) -> Estimate:
        return noninferiority_power(assumed.study, assumed.control, n, margin, alpha, method).power

    def exact_power(study: float, control: float, test: ExactTest) -> Estimate:
        return exact_noninferiority_power(study, control, n, n, margin, alpha, test).power

    def size(rate: float, method: PlanningVariance) -> Estimate:
        return noninferiority_size(rate, rate, margin, alpha, POWER, method).n_per_arm

    rates = Line(
        _(
            "true rates %(study)s study, %(control)s control; %(n)s per arm; margin %(margin)s; one-sided alpha "
            "%(alpha)s"
        ),
        (
            ("study", per_cent(assumed.study, 0)), ("control", per_cent(assumed.control, 0)), ("n", str(n)),
            ("margin", fixed(margin, 2)), ("alpha", fixed(alpha, 3)),
        ),
    )  # fmt: skip
    group = _("Sample size")
    inflated = inflate_for_loss(n, assumed.added_for_loss)
    better = Line(
        _(
            "The paper prints no rates; this pair gives its figure. It takes the smaller volume to be %(points)s "
            "percentage points better."
        ),
        (("points", fixed((assumed.study - assumed.control) * 100, 0)),),
    )
    loss = Line(
        _(
            "%(evaluable)s evaluable patients and a tenth of them added. If a tenth of those randomised are lost, "
            "%(divide)s are needed to keep %(evaluable)s."
        ),
        (("evaluable", str(2 * n)), ("divide", str(inflated.divide))),
    )
    checks = (
        Check(
            group,
            _("Power"),
            Printed((f"{assumed.power:.3f}",)),
            rates,
            (
                *(Result(label, (normal_power(method),)) for method, label in labels.items()),
                Result(
                    _("Exact power of the Farrington-Manning test"),
                    (exact_power(assumed.study, assumed.control, ExactTest.FARRINGTON_MANNING),),
                ),
                Result(
                    _("Exact power of the Miettinen-Nurminen test"),
                    (exact_power(assumed.study, assumed.control, ExactTest.MIETTINEN_NURMINEN),),
                ),
            ),
            note=better,
        ),
        Check(
            group,
            _("Patients to randomise, 10 per cent loss"),
            Printed((str(total),)),
            Line(_("%(n)s per arm evaluable"), (("n", str(n)),)),
            (
                Result(_("Evaluable patients times 1 + loss"), (known(inflated.multiply),)),
                Result(_("Evaluable patients divided by 1 − loss"), (known(inflated.divide),)),
            ),
            note=loss,
        ),
    )
    shown = (assumed.control, *(rate for rate in assumed.equal_rates_shown if rate != assumed.control))
    listing = Listing(
        _("Power of this trial when both arms are truly equal"),
        (
            _("True rate in both arms"),
            _("Exact power, Miettinen-Nurminen"),
            _("Exact power, Farrington-Manning"),
            _("Per arm for 80 per cent power, pooled"),
            _("Per arm for 80 per cent power, Farrington-Manning"),
        ),
        tuple(
            (
                per_cent(rate, 0),
                per_cent(exact_power(rate, rate, ExactTest.MIETTINEN_NURMINEN).value),
                per_cent(exact_power(rate, rate, ExactTest.FARRINGTON_MANNING).value),
                whole(size(rate, PlanningVariance.POOLED)),
                whole(size(rate, PlanningVariance.FARRINGTON_MANNING)),
            )
            for rate in sorted(shown)
        ),
        Line(
            _("%(n)s evaluable patients per arm, margin %(margin)s, one-sided alpha %(alpha)s."),
            (("n", str(n)), ("margin", fixed(margin, 2)), ("alpha", fixed(alpha, 3))),
        ),
    )
    remarks = (
        words(_("The paper names neither the visit of the primary endpoint nor the definition of response; this "
                 "system's choices are decisions D1 and D2 of the protocol.")),
    )  # fmt: skip
    return Paper(
        "protocol",
        _("This trial: local or whole-vertebra radiotherapy"),
        "BMC Neurology 2022;22:226. ChiCTR1900023401.",
        _("Protocol paper of this trial: randomised 1:1, non-inferiority of pain response, 66 patients."),
        checks,
        remarks,
        (listing,),
    )
