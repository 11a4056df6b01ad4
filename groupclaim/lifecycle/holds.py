"""The holds: what each waits for, how it is repaired, which fact clears it, who may waive it.

A release of a hold always needs a reason. Where ``two_people`` is set, it is a waiver: a second
person must agree and it must say until when it counts. These are the holds that can only be
released because they rest on a value nobody has read in the payer's current text, and those that
keep a compliance rule. Not among them: holds whose release *is* the review that they ask for (a
supervisor looks at a large room, a coder at a contract), and those of claims already sent or money
already posted, where a release follows what was agreed with the payer or has the payer told.
"""

from __future__ import annotations

from dataclasses import dataclass

from groupclaim.lifecycle.state import Fact, Step


@dataclass(frozen=True, slots=True)
class HoldKind:
    """``waits_for`` names who must act, ``repair`` what they do; ``cleared_by`` is the fact whose
    arrival tries again; ``two_people``: a release that
    overrides what a rule found is a waiver of two people with an expiry. Where it only asks for
    another look, because no fact clears the hold, one person is enough. ``asked_again``: groupclaim
    itself asks again when its time has come; people are told only when the step says so."""

    redo: Step | None
    waits_for: str
    released_by: str
    cleared_by: Fact | None = None
    repair: str = ""
    two_people: bool = False
    asked_again: bool = False


HOLDS: dict[str, HoldKind] = {
    # --- coverage
    "COVERAGE_INACTIVE": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: other or renewed coverage for the day of service",
        "a corrected coverage",
        Fact.COVERAGE,
        repair="Ask patient and payer for the coverage in force on the day and load it, or record "
        "the payer's word by telephone (`groupclaim coverage call`). Without any the patient pays.",
    ),
    "COVERAGE_UNKNOWN": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: the payer does not know the member as we wrote them",
        "a corrected coverage",
        Fact.COVERAGE,
        repair="Correct name, birth date, member id or payer as on the insurance card, or record "
        "the payer's word by telephone.",
    ),
    "CARVE_OUT": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: another administrator pays for mental health and is not on file",
        "the administrator on file",
        Fact.COVERAGE,
        repair="Load the administrator that the finding names as a payer; the patient's coverage "
        "with it too where its member id differs. It is then asked and billed.",
    ),
    "MEDICARE_ADVANTAGE": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: a Medicare Advantage plan that is not on file covers the day, not Medicare",
        "the plan on file",
        Fact.COVERAGE,
        repair="Load the plan that the finding names as a payer; it is then asked and billed. "
        "Record it as the patient's first coverage too, with the plan's own member id.",
    ),
    "NO_FEE": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "contract owner: the practice's fee for a patient who pays themselves",
        "release with a reason once it is loaded",
        repair="Load the fee in force on the day of service, then release: it is looked at again.",
    ),
    "NOT_COVERED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: the plan is active and excludes this service",
        "a corrected coverage, or a waiver with the payer's word",
        Fact.COVERAGE,
        repair="Tell the patient before the next session; bill other coverage, or the patient "
        "where a notice was given in time.",
        two_people=True,
    ),
    "VISITS_EXHAUSTED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "utilization review: the plan's visits are used up",
        "an authorization or a corrected coverage",
        Fact.COVERAGE,
        repair="Ask the payer for more visits (a limit stricter than for medical care may break "
        "mental-health parity), then record the answer; else tell the patient.",
        two_people=True,
    ),
    "REFERRAL_REQUIRED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: the payer asks for a referral and none is on file",
        "a recorded referral",
        Fact.COVERAGE,
        repair="Get the referral's number from the referring clinician and load it with the "
        "patient's coverage.",
        two_people=True,
    ),
    "DIAGNOSIS_NOT_COVERED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "clinician: the payer does not cover group psychotherapy for the diagnoses on file",
        "a corrected treatment plan",
        Fact.COVERAGE,
        repair="The clinician looks at the diagnoses of note and plan; they are never changed to "
        "suit a payer.",
        two_people=True,
    ),
    "FREQUENCY_EXCEEDED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "utilization review: more sessions than the payer pays in the period",
        "an authorization, or a waiver with the payer's word",
        Fact.AUTHORIZATION,
        repair="Request an authorization for the additional sessions, or do not bill this one.",
        two_people=True,
    ),
    "PAYER_UNREACHABLE": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "payer: its eligibility system, or the clearinghouse, does not answer",
        "the payer's answer",
        Fact.COVERAGE,
        repair="Nothing: it is asked again at each reminder. Or ask by telephone and record the "
        "call (`groupclaim coverage call`).",
    ),
    "NO_POLICY": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "contract owner: the payer's rules in force on the day of service",
        "the policy on file",
        Fact.COVERAGE,
        repair="Load a policy that is in force on the day (`groupclaim policy`), or name another "
        "one for the payer. It is looked at again at each reminder.",
    ),
    "PART2_CONSENT": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "privacy: the patient's consent to disclose substance-use records to the payer",
        "a recorded consent",
        Fact.COVERAGE,
        repair="Obtain the patient's written consent for payment and load it with the patient "
        "(part2_consents); nothing is disclosed before. It cannot be waived.",
        two_people=True,
    ),
    # --- authorization
    "AUTH_REQUIRED": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "utilization review: a prior authorization for the day of service",
        "a recorded authorization",
        Fact.AUTHORIZATION,
        repair="Request it (portal or telephone, where the payer takes no 278; retroactively after "
        "the service) and record number, codes, clinician, units and dates.",
        two_people=True,
    ),
    "AUTH_PENDED": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "payer: the decision on the authorization asked for by 278",
        "the payer's decision, or a recorded authorization",
        Fact.AUTHORIZATION,
        repair="Nothing to do: the payer is asked again, and people are told before its time to "
        "decide ends. A decision by letter or telephone is recorded as an authorization.",
        asked_again=True,
    ),
    "AUTH_REFUSED": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "clinician: the payer has refused the authorization",
        "a recorded authorization, once the payer has changed its mind",
        Fact.AUTHORIZATION,
        repair="Ask for a peer-to-peer review or appeal, and record what is granted. The patient "
        "is told before the next session.",
        two_people=True,
    ),
    "AUTH_EXHAUSTED": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "utilization review: more authorized units",
        "an extended authorization",
        Fact.AUTHORIZATION,
        repair="Request an extension and record the units under the same or the new number; "
        "or release units of sessions that are not billed.",
        two_people=True,
    ),
    "AUTH_MISMATCH": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "utilization review: the authorization on file does not fit this service",
        "a corrected authorization",
        Fact.AUTHORIZATION,
        repair="Compare the payer's letter with what was recorded (payer, code, clinician, dates), "
        "correct it, or ask the payer for a revision.",
        two_people=True,
    ),
    # --- documentation
    "NOTE_UNSIGNED": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: sign the note",
        "the signed note",
        Fact.NOTE,
        repair="The author signs in the record system; a late signature keeps its true date.",
    ),
    "NOTE_INCOMPLETE": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: complete the note",
        "the completed and signed note",
        Fact.NOTE,
        repair="The clinician adds the missing elements as a dated addendum and signs it.",
    ),
    "PLAN_INVALID": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: a treatment plan valid on the day that names group therapy",
        "a corrected plan and the note signed again",
        Fact.NOTE,
        repair="Renew or amend the plan with type, amount, frequency, duration, diagnoses and "
        "goals; it never gets an earlier date than its signature.",
    ),
    "CLONED_NOTE": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: the individual part repeats another note",
        "the corrected and signed note, or a waiver",
        Fact.NOTE,
        repair="The clinician writes what this patient said, did and gained as a dated addendum; "
        "both notes are shown side by side.",
        two_people=True,
    ),
    "CLONE_REVIEW": HoldKind(
        None,
        "clinician: a later note of another patient repeats this one",
        "release once both notes have been looked at",
        repair="Compare the two side by side. If this note is not the patient's own either, "
        "correct it, and correct or void the claim if it was sent; then release.",
    ),
    "MEMBER_NAMED": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: the note names another member of the group",
        "the corrected and signed note, or a waiver",
        Fact.NOTE,
        repair="Take the other member out of the note at the place that the finding gives, as the "
        "record system amends signed notes.",
        two_people=True,
    ),
    "EXCLUDED_ACTIVITY": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: what was done is not psychotherapy by the note",
        "the corrected and signed note, or a waiver",
        Fact.NOTE,
        repair="If therapy was given, the note must say so; else it is not billed as 90853. For "
        "Medicaid a coder looks at the codes for education.",
        two_people=True,
    ),
    "PROCESS_NOTE": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: a progress note; what is on file are psychotherapy (process) notes",
        "the signed progress note",
        Fact.NOTE,
        repair="The clinician files a progress note of its own. Process notes are never read, "
        "attached or sent (45 CFR 164.501); it cannot be waived.",
        two_people=True,
    ),
    # --- the room
    "GROUP_OF_ONE": HoldKind(
        Step.CHECK_CODING,
        "clinician: one patient alone is no group",
        "a corrected attendance",
        Fact.ATTENDANCE,
        repair="Correct the attendance if it is wrong; else ask the clinician whether individual "
        "therapy was given and documented, and bill that.",
        two_people=True,
    ),
    "GROUP_SIZE_REVIEW": HoldKind(
        Step.CHECK_CODING,
        "supervisor: confirm that a room of this size may be billed",
        "release with a reason, or a corrected attendance",
        Fact.ATTENDANCE,
        repair="Confirm that each note shows individual work, then release: the release is the "
        "review.",
    ),
    "GROUP_SIZE_EXCEEDED": HoldKind(
        Step.CHECK_CODING,
        "supervisor: the room was larger than the payer accepts",
        "a corrected attendance",
        Fact.ATTENDANCE,
        repair="Correct the attendance if it is wrong; else do not bill this payer. Where the "
        "limit is unverified, read the payer's own text before it is waived.",
        two_people=True,
    ),
    "SESSION_CONFLICT": HoldKind(
        Step.CHECK_CODING,
        "front desk: clinician or patient is recorded in two sessions at the same time",
        "a corrected attendance, or a waiver",
        Fact.ATTENDANCE,
        repair="Correct times, clinician or attendance of the session that is wrong.",
        two_people=True,
    ),
    "LICENCE_NOT_ACCEPTED": HoldKind(
        Step.CHECK_CODING,
        "credentialing: a licence that this payer accepts on the day of service",
        "release with a reason once it is settled",
        repair="Load the licence or the payer's acceptance, then release: it is looked at again.",
        two_people=True,
    ),
    "RENDERING_NOT_PAYABLE": HoldKind(
        Step.CHECK_CODING,
        "credentialing: the payer does not pay this clinician on the day of service",
        "release with a reason once it is settled",
        repair="Settle enrolment or supervision with the payer and load its dates, then release; "
        "services before the effective date are written off.",
        two_people=True,
    ),
    # --- coding and price
    "NOT_DISTINCT": HoldKind(
        Step.CHECK_CODING,
        "coder: another service of the day is not shown to be separate",
        "separate signed notes with times that do not overlap, or a waiver",
        Fact.NOTE,
        repair="Bill the second service only with a note of its own and times apart; else take it "
        "off the claim.",
        two_people=True,
    ),
    "MAC_COVERAGE_REVIEW": HoldKind(
        Step.CHECK_CODING,
        "coder: the Medicare contractor may not cover this code",
        "release with a reason once it is settled",
        repair="Read the contractor's coverage article for the day; give the notice to the patient "
        "before the next one.",
        two_people=True,
    ),
    "TELEHEALTH_TABLE_CHECK": HoldKind(
        Step.CHECK_CODING,
        "coder: the payer's list of telehealth services",
        "release with a reason once it is settled",
        repair="Look the code up in the payer's telehealth table for the day, load the policy, "
        "then release.",
        two_people=True,
    ),
    "DUPLICATE": HoldKind(
        Step.CHECK_CODING,
        "biller: the service has been billed before",
        "release with a reason once it is settled",
        repair="Find the first claim; release only for a second session that the payer allows.",
        two_people=True,
    ),
    "CONTRACT_CHECK": HoldKind(
        Step.CHECK_CODING,
        "contract owner: what the contract says of this service",
        "release with a reason once it is settled",
        repair="Read the contract in force on the day and load what it says, then release.",
    ),
    "NO_RATE": HoldKind(
        Step.CHECK_CODING,
        "contract owner: a contract and fee in force on the day of service",
        "release with a reason once it is loaded",
        repair="Load contract, rate or fee, then release: it is priced again.",
    ),
    "SAME_DAY_SERVICE": HoldKind(
        Step.CHECK_CODING,
        "coder: another psychotherapy service of the same patient that day",
        "release with a reason",
        repair="Decide which one is billed; read the payer's own rule before both are.",
        two_people=True,
    ),
    # --- on its way
    "DUPLICATE_BLOCK": HoldKind(
        Step.BUILD_CLAIM,
        "payer: by law the same claim may not come again yet",
        "the day from which it may be sent again",
        repair="Nothing to do: it is built again on that day. A corrected claim is no duplicate.",
        asked_again=True,
    ),
    "INFORMATION_REQUESTED": HoldKind(
        Step.ASK_STATUS,
        "biller: the payer asks for information before it decides",
        "release once it is answered; the payer is asked again, or a remittance comes",
        repair="Send what the finding names, never psychotherapy notes, then release.",
    ),
    "NOT_ON_FILE": HoldKind(
        Step.BUILD_CLAIM,
        "biller: the payer does not know the claim and never said that it took it",
        "release sends it as a new claim",
        repair="Check payer and member id and call the payer; release to send it again.",
    ),
    "PAYER_SILENT": HoldKind(
        Step.ASK_STATUS,
        "biller: the payer says nothing that ends the claim",
        "release to ask by 276 again, or a remittance comes",
        repair="Call the payer with its claim number from the 277CA; send a prompt-pay letter "
        "where its time by law has passed. Where it never decides: `groupclaim claim write-off`.",
    ),
    "TIMELY_FILING": HoldKind(
        Step.BUILD_CLAIM,
        "biller: the filing limit has passed",
        "release with a reason: proof that it was filed in time, or an exception",
        repair="Find the 999 or 277CA that proves timely filing or the payer's exception; else "
        "give it up: `groupclaim claim write-off`. The patient owes nothing of it.",
        two_people=True,
    ),
    "CLAIM_REFUSED": HoldKind(
        Step.BUILD_CLAIM,
        "biller: the claim did not pass the outbound check",
        "release once the named fields are mended",
        repair="Correct each field that a finding names, then release.",
    ),
    "REJECTED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "biller: the payer's front end refused the claim and no correction is known",
        "release once it is mended; it is sent again",
        repair="Mend what the acknowledgment names, then release.",
    ),
    "DENIED": HoldKind(
        Step.DECIDE_DENIAL,
        "biller: the payer denied the claim and no correction is known",
        "release to decide again with what is on file by then",
        Fact.AUTHORIZATION,
        repair="Follow the finding's advice: `groupclaim denial show` says who does what by when, "
        "`groupclaim denial decide` records it.",
    ),
    "APPEALED": HoldKind(
        Step.DECIDE_DENIAL,
        "payer: its answer to the letter about the denial",
        "the payer's payment or its next decision; release to decide again",
        Fact.AUTHORIZATION,
        repair="Record the payer's answer when it comes by letter (`groupclaim denial decide`).",
    ),
    # --- taken back
    "ATTENDANCE_CHANGED": HoldKind(
        Step.PLAN_VOID,
        "biller: attendance was corrected after the claim was sent",
        "release takes the claim back from its payer",
        repair="Check the correction. If it is right, release: the payer is told by a claim with "
        "frequency 8. If not, correct the attendance again.",
    ),
    "DOCUMENTATION_CHANGED": HoldKind(
        Step.PLAN_VOID,
        "biller: the note was withdrawn after the claim was sent",
        "release takes the claim back from its payer, or the note signed again",
        Fact.NOTE,
        repair="Ask the clinician whether a valid note will be signed. If not, release: the payer "
        "is told by a claim with frequency 8.",
    ),
    "VOID_WAITS": HoldKind(
        Step.PLAN_VOID,
        "payer: its number or its decision, before the claim can be taken back",
        "its acknowledgment (277CA) or its remittance (835)",
        repair="Nothing to do: the claim is taken back as soon as the payer can be told which.",
        asked_again=True,
    ),
    "VOID_REFUSED": HoldKind(
        Step.PLAN_VOID,
        "biller: the payer refused to take the claim back",
        "release sends it again; or the payer's money is returned",
        Fact.REFUND,
        repair="Read the payer's codes and call it. Mend what is wrong and release, or return the "
        "money by cheque and record it (`groupclaim overpayment refund`).",
    ),
    "VOID_SILENT": HoldKind(
        Step.PLAN_VOID,
        "biller: the payer has not answered that the claim is taken back",
        "its remittance, the recorded refund, or release when it has no such claim",
        Fact.REFUND,
        repair="Call the payer. Return its money by cheque and record it (`groupclaim overpayment "
        "refund`), or release when nothing was paid and it has closed the claim.",
    ),
    "PAYER_REFUND_DUE": HoldKind(
        Step.PLAN_VOID,
        "biller: money of a payer that is not due",
        "the recorded refund, or the payer's reversal",
        Fact.REFUND,
        repair="Return it with the payer's refund form, saying for which claim and why, and record "
        "it (`groupclaim overpayment refund`); or ask for a reopening: its reversal ends this too.",
    ),
    # --- the money
    "UNDERPAYMENT_REVIEW": HoldKind(
        Step.SETTLE_BALANCE,
        "contract owner: dispute the shortfall or write it off",
        "release writes the shortfall off, with the reason",
        repair="Dispute it with the contract and the remittance, or release to write it off.",
    ),
    "PAYMENT_UNPRICED": HoldKind(
        Step.AUDIT_PAYMENT,
        "contract owner: a rate in force on the day of service, to audit the payment against",
        "release once it is loaded; the payment is audited again, or accepted as it is",
        repair="Load the contract or fee schedule, then release.",
    ),
    "OVERPAYMENT_REVIEW": HoldKind(
        Step.SETTLE_BALANCE,
        "contract owner: the payer allowed more than the contract",
        "release keeps the payment, with the reason",
        repair="Return what was not due (within 60 days where the payer is Medicare or Medicaid), "
        "or release when the payment was right.",
    ),
    "COORDINATION_REVIEW": HoldKind(
        Step.BUILD_CLAIM,
        "biller: a payer changed its decision after the next one was billed",
        "release bills the next payer anew, with the changed figures",
        repair="Compare both decisions; release to correct the next payer's claim.",
    ),
    "PAYER_ORDER": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "biller: another payer should have been billed first",
        "release bills the first payer; the one that has decided is corrected after it",
        repair="Ask both payers which of them is first, then release. Tell the one that has paid "
        "in its place to take its payment back.",
    ),
    "REFUND_DUE": HoldKind(
        Step.SETTLE_BALANCE,
        "front desk: the patient has paid more than they owe",
        "the recorded refund",
        repair="Pay it back and record that (`groupclaim payment refund`).",
    ),
}
