-- Temporal's own databases beside groupclaim's, with a role of their own. Read once, when the
-- volume is new. Replace the password here and in .env before that.
CREATE ROLE temporal LOGIN CREATEDB PASSWORD 'replace-me';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
