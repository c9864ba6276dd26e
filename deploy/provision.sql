-- Roles and database of SpineTrial. Run by psql as a superuser; harmless when repeated.
-- The owner migrates. The application role owns no clinical table, so it can neither change one nor take away a
-- trigger, and it has no TRUNCATE; what it may do with each table is granted after the migrations.
\set ON_ERROR_STOP on
SELECT 'CREATE ROLE spinetrial_owner LOGIN CREATEDB'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spinetrial_owner') \gexec
SELECT 'CREATE ROLE spinetrial_app LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spinetrial_app') \gexec
SELECT 'CREATE DATABASE spinetrial OWNER spinetrial_owner TEMPLATE template0 ENCODING ''UTF8'''
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'spinetrial') \gexec
-- A temporary table could stand in front of a real one inside a trigger function.
REVOKE TEMPORARY ON DATABASE spinetrial FROM PUBLIC;

\connect spinetrial
SET client_min_messages = warning;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- Celery's message tables, where the database is the broker: the one place where the application role makes tables.
CREATE SCHEMA IF NOT EXISTS broker AUTHORIZATION spinetrial_owner;
GRANT USAGE, CREATE ON SCHEMA broker TO spinetrial_app;
