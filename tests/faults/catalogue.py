"""Every fault the product must survive, and the checks that prove that it does.

A proof is a test by its node id; one with parameters stands for all of them. What no test proves
yet says so under ``missing`` and is never counted as survived.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """``missing`` says what of the fault nothing proves yet; without ``proofs`` nothing does."""

    number: int
    what: str
    proofs: tuple[str, ...] = ()
    missing: str = ""


def _in(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"tests/{file}.py::test_{test}" for test in tests)


_THOUSANDS = _in(
    "faults/test_backlog", "of_thousands_at_once_all_are_sent_once_but_the_one_that_cannot_be"
)

FAULTS = (
    Fault(
        1,
        "worker killed before, during and after every activity",
        _in("system/test_crash_points", "the_worker_dies_at_every_boundary")
        + _in("activities/test_sample_practice", "workers_that_die_anywhere_change_nothing")
        + _in(
            "activities/test_submission",
            "a_worker_that_dies_while_sending_leaves_the_batch_in_doubt",
        )
        + _in("workflows/test_claim", "a_worker_lost_in_the_middle_of_a_step")
        + _in(
            "faults/test_crash_points",
            "a_worker_that_dies_at_every_point_changes_nothing",
            "no_step_is_without_a_test_of_its_own",
        )
        + _in(
            "activities/test_killed_decisions",
            "an_overpayment_is_told_and_refunded_once",
            "a_letter_leaves_once_and_what_is_lost_is_written_off_once",
            "a_card_is_announced_and_charged_once",
        )
        + _in(
            "faults/test_single_deaths",
            "a_void_and_a_refund",
            "a_roster_that_is_amended",
            "a_999_that_is_late",
            "a_file_that_nobody_can_read",
        ),
    ),
    Fault(
        2,
        "no worker for ten minutes with work on its way",
        _in("system/test_crash_points", "no_worker_for_ten_minutes_and_all_claims_go_on"),
    ),
    Fault(
        3,
        "workers killed again and again for a whole run",
        _in("system/test_demo", "chaos_prints_the_same_table"),
    ),
    Fault(
        4,
        "Temporal server killed and started again on its file",
        _in("system/test_crash_points", "the_engine_is_killed_under_load_and_all_claims_go_on")
        + _THOUSANDS,
        "how long 5,000 claims take is printed, not held to two minutes",
    ),
    Fault(
        5,
        "clearinghouse accepts, then the connection drops",
        _in(
            "activities/test_submission",
            "a_lost_answer_is_found_in_the_listing_and_nothing_goes_again",
            "what_never_arrived_goes_again_with_the_same_bytes_after_the_grace_period",
            "a_gateways_503_proves_nothing_and_what_was_taken_is_not_sent_again",
            "a_listing_that_is_older_than_the_grace_period_proves_nothing",
            "an_acknowledgment_seen_meanwhile_proves_receipt_without_a_listing",
        )
        + _in(
            "workflows/test_batch",
            "in_doubt_and_received",
            "in_doubt_and_absent_goes_again_as_the_same_batch",
        )
        + _in(
            "faults/test_in_doubt", "what_was_taken_without_a_word_is_found_and_never_sent_twice"
        ),
    ),
    Fault(
        6,
        "HTTP 500, 429, 409, slow, hanging, half a body, wrong JSON",
        _in(
            "clearinghouse/test_http",
            "an_answer_that_refuses_says_that_nothing_was_taken",
            "a_status_that_proves_nothing_about_a_batch_is_an_unreachable_mailbox",
            "retry_after_is_told_on_and_bounded",
            "an_answer_that_says_nothing_about_the_batch_leaves_it_unknown",
            "a_connection_that_breaks_leaves_a_batch_unknown_and_a_read_unreachable",
            "an_unreadable_listing_is_unreachable_never_empty",
        )
        + _in(
            "activities/test_outage",
            "a_payer_that_cannot_be_reached_is_told_after_half_an_hour",
            "it_is_asked_again_by_itself_and_goes_on_once_it_answers",
        )
        + _in(
            "faults/test_circuit",
            "the_circuit_opens_the_owner_is_told_and_all_goes_on",
            "a_worker_that_finds_an_answer_resolves_what_another_said",
            "who_says_that_it_is_done_is_told_again",
        ),
    ),
    Fault(
        7,
        "SFTP: partial upload, lost rename, disk full, login refused, host key changed",
        _in(
            "clearinghouse/test_sftp",
            "a_lost_rename_leaves_it_in_doubt_until_a_listing_shows_it",
            "an_undone_rename_that_cannot_be_proved_leaves_it_in_doubt",
            "other_bytes_than_sent_are_not_renamed",
            "what_cannot_have_been_taken_may_go_again",
            "a_changed_host_key_is_never_believed",
            "a_refused_login_says_so",
        )
        + _in("simulator/test_simulator_sftp", "the_disk_has_an_end"),
    ),
    Fault(
        8,
        "the same 835 twice, one payment in two files, one trace with another amount",
        _in(
            "store/test_remittances",
            "the_same_payment_in_another_file_is_a_duplicate",
            "the_same_trace_with_something_else_is_suspended",
            "of_copies_registered_at_once_one_counts",
        )
        + _in("store/test_unapplied", "a_second_payment_of_one_trace_takes_two_people")
        + _in(
            "activities/test_inbound",
            "the_same_bytes_under_another_name_start_nothing_and_leave_the_mailbox",
        ),
    ),
    Fault(
        9,
        "835 before 277CA, 277CA before 999, 999 never",
        _in(
            "activities/test_acknowledgment_orders",
            "every_order_of_arrival_ends_in_the_same_state",
            "silence_is_told_of_before_it_is_late_and_late_answers_still_count",
        )
        + _in("lifecycle/test_paths", "acknowledgments_in_every_order_end_in_the_same_state")
        + _in("store/test_remittances", "a_payment_before_any_acknowledgment_charges_the_claim"),
    ),
    Fault(
        10,
        "999 rejects one transaction set of three",
        _in("simulator/test_simulated_clearinghouse", "a_broken_set_does_not_stop_its_neighbour")
        + _in("x12/test_acknowledgment", "999_of_others_partly_accepted")
        + _in("activities/test_inbound", "a_rejected_999_reaches_every_claim_and_holds_it")
        + _in("faults/test_mailbox", "of_three_sets_in_one_999_only_ours_counts"),
    ),
    Fault(
        11,
        "reversal and correction months later, reversal without correction",
        _in(
            "store/test_remittances",
            "a_reversal_and_its_correction_net_out",
            "a_reversal_takes_the_underpayment_back_too",
            "a_correction_without_its_reversal_is_unapplied_cash",
        )
        + _in(
            "activities/test_remittance",
            "a_reversal_without_correction_leaves_the_claim_with_its_payer",
        )
        + _in("lifecycle/test_paths", "money_taken_back_from_a_closed_claim_is_audited"),
    ),
    Fault(
        12,
        "PLB: forward balance over several checks, interest, unknown code",
        _in(
            "store/test_unapplied",
            "a_balance_carried_forward_is_followed_until_it_is_used_up",
            "each_reason_has_its_account_and_sign",
            "an_adjustment_without_a_meaning_is_settled_once",
        ),
    ),
    Fault(
        13,
        "835 off by 0.01",
        _in("store/test_remittances", "one_claim_a_cent_off_suspends_the_whole_payment")
        + _in("store/test_unapplied", "a_payment_off_by_a_cent_is_never_accepted")
        + _in("activities/test_cash_desk", "a_file_off_by_a_cent_posts_nothing_and_names_it"),
    ),
    Fault(
        14,
        "modifiers missing or changed in the 835",
        _in("store/test_unapplied", "a_line_is_found_and_the_reason_kept")
        + _in(
            "rules/test_line_audit",
            "a_payer_that_changes_codes_and_modifiers_is_matched_all_the_same",
        ),
    ),
    Fault(
        15,
        "database busy, blocked or broken off",
        _in(
            "store/test_database",
            "a_busy_database_is_tried_again",
            "but_not_for_ever",
            "a_failed_block_leaves_nothing",
            "writers_of_several_connections_queue",
        )
        + _in(
            "faults/test_connection_lost",
            "a_posting_cut_off_leaves_nothing_and_is_done_whole_later",
        )
        + _in(
            "faults/test_database_stopped",
            "a_database_that_is_away_delays_work_and_loses_none",
        ),
        "no failover to another server",
    ),
    Fault(
        16,
        "disk full or read-only",
        _in(
            "store/test_disk",
            "a_posting_on_a_full_disk_leaves_nothing_behind",
            "a_posting_on_a_read_only_disk_leaves_nothing_behind",
        )
        + _in(
            "faults/test_full_disk",
            "a_full_disk_is_named_and_leaves_nothing_half_done",
            "temporal_on_a_full_disk_stops_and_goes_on",
        )
        + _in("worker/test_exporter", "the_free_share_of_each_disk_is_told")
        + _in(
            "deploy/test_alerts",
            "nothing_fires_on_a_calm_day_and_each_alert_on_its_fault_only",
        ),
        "where Temporal's database is on a disk that the exporter does not see, its operator's own "
        "watch must name it",
    ),
    Fault(
        17,
        "a claim that cannot be sent in the midst of a batch",
        _in(
            "activities/test_submission",
            "a_claim_that_cannot_be_sent_leaves_its_batch_and_the_rest_goes",
            "a_claim_taken_out_is_held_until_it_is_mended_and_goes_under_its_own_letter",
        )
        + _THOUSANDS,
    ),
    Fault(
        18,
        "malformed X12",
        _in(
            "x12/test_fuzz",
            "damaged_files",
            "garbage",
            "the_long_run_in_short",
            "what_once_broke_a_reader",
        ),
    ),
    Fault(
        19,
        "workflow code changed while workflows run",
        _in(
            "workflows/test_replay",
            "replay",
            "a_history_of_another_way_does_not_replay",
            "every_workflow_type_and_path_is_recorded",
            "every_step_and_message_is_recorded",
        ),
    ),
    Fault(
        20,
        "rules changed in the midst of a session",
        _in("store/test_claims", "a_version_once_made_never_changes")
        + _in("policy/test_payer", "the_version_is_of_the_content_not_of_its_spelling")
        + _in(
            "activities/test_sent_versions",
            "a_batch_cut_before_the_coverage_changed_goes_as_it_was_made",
        )
        + _in("faults/test_rules_changed", "each_claim_shows_the_rules_it_was_made_by"),
    ),
    Fault(
        21,
        "clock set back, other time zones, year ends",
        _in("store/test_clock", "it_never_goes_back", "of_many_movers_the_latest_instant_wins")
        + _in("policy/test_calendar", "the_cutoff_is_local_to_the_clearinghouse")
        + _in("rules/test_deadlines", "days_are_the_practices_own")
        + _in(
            "faults/test_clock_wrong",
            "deadlines_are_those_of_the_table_wherever_the_machine_believes_to_be",
            "a_practice_played_in_a_wrong_zone_is_the_same_to_the_second",
            "a_clock_that_jumps_by_two_hours_changes_no_outcome_and_no_limit",
        ),
        "timers ring early and late, but the clock of Temporal's server itself is not set wrong",
    ),
    Fault(
        22,
        "deadline on a holiday or weekend",
        _in(
            "rules/test_deadlines",
            "every_day_of_three_years_is_a_business_day_or_not_as_the_law_says",
            "texas_filing_limits_over_three_years_of_holidays",
            "the_limit_is_never_before_its_days_and_moves_only_to_a_business_day",
        ),
    ),
    Fault(
        23,
        "two billers act on one claim at once",
        _in("store/test_work", "of_two_who_act_at_once_one_is_told")
        + _in("console/test_today", "taking_an_item_is_noted_and_a_second_taker_is_told")
        + _in("workflows/test_claim", "the_same_request_acts_once"),
    ),
    Fault(
        24,
        "webhook replayed, unsigned, late, 10,000 at once",
        _in(
            "activities/test_webhooks",
            "what_is_unsigned_late_or_changed_is_not_ours",
            "thousands_at_once_and_told_again_are_taken_once_each",
        ),
    ),
    Fault(
        25,
        "webhook destination switched off for 72 hours",
        _in(
            "activities/test_webhooks",
            "a_system_switched_off_for_three_days_misses_nothing",
            "what_is_not_taken_is_tried_for_three_days_and_is_then_a_work_item",
        ),
    ),
    Fault(
        26,
        "cursor lost, events older than 30 days",
        _in(
            "faults/test_mailbox",
            "all_that_ever_lay_in_the_mailbox_comes_again_and_changes_nothing",
        )
        + _in(
            "activities/test_status",
            "a_decision_without_a_remittance_is_told_and_waited_for",
            "without_an_answer_it_is_asked_again_the_next_day_and_not_for_ever",
            "a_claim_that_nobody_took_is_sent_again_when_a_person_says_so",
        ),
    ),
    Fault(
        27,
        "coverage changes between check and service, carve-out in the answer",
        _in(
            "activities/test_coverage",
            "scenario_12_an_administrator_not_on_file_is_named",
            "asked_again_the_coverages_own_payer_comes_first",
            "a_corrected_coverage_ends_what_the_old_payer_said",
        )
        + _in("lifecycle/test_paths", "coverage_asked_long_before_the_session_is_asked_again"),
    ),
    Fault(
        28,
        "20 workers at one authorization with five visits, one claim, payment, batch",
        _in(
            "store/test_races",
            "one_authorization_of_five_visits_for_eight_claims",
            "one_claim_has_one_version_in_one_batch",
            "one_payment_in_twenty_files_is_posted_once",
            "one_batch_is_cut_sent_and_charged_once",
        )
        + _in(
            "store/test_authorizations",
            "twenty_at_once_take_five_units",
            "twenty_workers_in_all_states_never_exceed_what_is_granted",
        ),
    ),
    Fault(
        29,
        "note edited after its check, before the claim is sent",
        _in(
            "activities/test_documentation",
            "a_text_changed_under_its_signature_is_held_until_signed_again",
        )
        + _in(
            "activities/test_submission",
            "a_review_of_copied_notes_keeps_a_ready_claim_out_of_the_batch",
            "a_note_changed_while_its_claim_was_ready_is_checked_again_and_not_sent",
            "a_note_that_is_gone_when_the_batch_is_made_keeps_its_claim",
            "nothing_is_sent_while_the_record_system_does_not_answer",
        )
        + _in(
            "activities/test_notes",
            "a_changed_file_is_read_again_and_a_half_written_one_gives_no_answer",
        ),
    ),
    Fault(
        30,
        "member taken off the roster after billing",
        _in("lifecycle/test_paths", "attendance_corrected_back_before_the_payer_was_told")
        + _in("workflows/test_claim", "attendance_changed_after_sending")
        + _in("store/test_authorizations", "who_is_taken_off_the_roster_uses_no_unit")
        + _in(
            "activities/test_voids",
            "a_paid_claim_of_somebody_absent_is_voided_and_its_account_ends_at_zero",
            "what_was_never_sent_is_only_withdrawn",
        ),
    ),
    Fault(
        31,
        "5,000 claims at once",
        _in("faults/test_burst", "every_claim_of_a_burst_is_sent_once") + _THOUSANDS,
    ),
    Fault(
        32,
        "a claim open for 180 days with 50 status inquiries",
        _in(
            "workflows/test_continue_as_new",
            "state_goes_along",
            "a_release_under_way_is_not_cut_off",
        )
        + _in("faults/test_long_open", "fifty_inquiries_in_half_a_year_leave_a_small_history"),
    ),
    Fault(
        33,
        "keys rotated while payloads live, a key lost",
        _in(
            "worker/test_codec",
            "keys_are_changed_while_old_payloads_live",
            "an_unknown_key_is_named_by_its_id",
        )
        + _in("store/test_database", "after_key_rotation_everything_is_still_read")
        + _in("worker/test_books_commands", "keys_are_rotated_and_everything_stays_readable")
        + _in("worker/test_exporter", "a_lost_key_is_told_and_the_other_figures_go_on")
        + _in(
            "activities/test_key_rotation",
            "keys_rotate_under_a_run_and_an_old_worker_stops_cleanly",
        )
        + _in(
            "worker/test_key_file",
            "without_the_key_file_nothing_starts_and_no_key_is_made",
            "a_file_from_before_a_rotation_is_refused_by_the_missing_keys_id",
            "keys_whose_file_is_gone_stop_who_uses_them",
        )
        + _in(
            "worker/test_process",
            "a_worker_exports_the_head_of_the_log_and_stops_when_its_key_file_is_lost",
        )
        + _in(
            "workflows/test_replay",
            "a_history_under_an_older_key_replays_under_the_new_one_and_not_without",
        ),
    ),
    Fault(
        34,
        "audit log changed, deleted, inserted into, cut off",
        _in(
            "store/test_audit",
            "the_first_bad_row_is_named",
            "an_entry_slipped_between_sealed_ones_is_found",
            "a_log_cut_off_behind_a_kept_head_is_found",
            "a_log_written_anew_with_other_keys_is_found",
        )
        + _in(
            "worker/test_books_commands",
            "who_changed_or_cut_off_the_log_is_found_against_the_head_kept_elsewhere",
        )
        + _in(
            "worker/test_audit_head",
            "a_head_that_the_log_lacks_is_told_and_never_written_over",
            "where_no_head_can_be_kept_the_log_is_sealed_and_work_goes_on",
        ),
    ),
    Fault(
        35,
        "backup of an hour ago beside a Temporal of now",
        _in("faults/test_restored", "what_temporal_and_the_clearinghouse_know_is_brought_back")
        + _in(
            "activities/test_recovery",
            "a_request_for_authorization_of_the_lost_hour_is_asked_after_and_not_sent_again",
        ),
    ),
    Fault(
        36,
        "Temporal's retention has passed",
        _in(
            "activities/test_messages",
            "a_claim_is_taken_up_from_its_snapshot_and_then_only_signalled",
        )
        + _in("faults/test_retention", "the_console_shows_all_of_claims_whose_histories_are_gone"),
    ),
    Fault(
        37,
        "patient pays twice, card answer lost",
        _in(
            "activities/test_cards",
            "it_is_written_down_before_the_processor_is_asked",
            "an_answer_lost_after_charging_is_asked_for_and_never_charged_again",
        )
        + _in("activities/test_front_desk", "a_receipt_is_taken_once_and_for_one_amount")
        + _in(
            "store/test_patient_account", "a_charge_of_a_card_is_written_down_once_and_ends_once"
        ),
    ),
    Fault(
        38,
        "PDF of hostile data",
        _in(
            "documents/test_typeset",
            "data_is_shown_as_it_stands_and_never_read_as_markup",
            "no_template_asks_for_packages_or_files",
        )
        + _in(
            "documents/test_patient",
            "a_statement_of_a_thousand_sessions_is_made_within_two_seconds",
        )
        + _in("documents/test_appeal", "hostile_data_is_shown_as_it_stands"),
    ),
)

PROOFS = frozenset(proof for fault in FAULTS for proof in fault.proofs)
