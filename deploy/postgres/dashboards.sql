-- The role that Grafana reads PostgreSQL with: sums and rates by payer, clinician, location and
-- code, no claim number, no patient. Run it once as the owner of groupclaim's database, after the
-- first `groupclaim worker` has made the tables, and give the role a password:
--   ALTER ROLE groupclaim_dashboards PASSWORD '...';
-- A later version that makes the views anew gives the role its rights again.
CREATE ROLE groupclaim_dashboards LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 10;
ALTER ROLE groupclaim_dashboards SET default_transaction_read_only = on;
ALTER ROLE groupclaim_dashboards SET statement_timeout = '30s';
GRANT SELECT (id, payer_id) ON payer TO groupclaim_dashboards;
GRANT SELECT (clinician_id, location_id, service_date, stage, payer_key, codes, first_billed_at,
  billed_cents, allowed_cents, paid_cents, patient_paid_cents, contractual_cents, denied_cents,
  payer_open_cents, patient_open_cents, underpaid_cents, overpaid_cents, recovered_cents, decided,
  denied, first_pass, clean) ON claim_figures TO groupclaim_dashboards;
GRANT SELECT (payer_key, clinician_id, cause, category, prevented_by, service_date, decided_on,
  denied_cents, outcome, opened_at, concluded_at, recovered_cents) ON denial_figures
  TO groupclaim_dashboards;
GRANT SELECT (service_date, payer_key, code, pattern, expected_cents, allowed_cents,
  underpaid_cents, recovered_cents, dispute_id, state) ON underpayments TO groupclaim_dashboards;
