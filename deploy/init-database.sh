#!/bin/sh
# Run once by the postgres image on an empty volume: roles, database and the passwords of the two roles.
set -eu
export SECRETS="${SECRETS:-/run/secrets}"
run() { psql --username "$POSTGRES_USER" --dbname postgres --no-psqlrc --quiet -v ON_ERROR_STOP=1 "$@"; }

run --file "${PROVISION:-/opt/spinetrial/provision.sql}"
# Read inside psql, so that no password stands on a command line. CREATEDB serves the tests only.
run <<'SQL'
\set owner_password `cat "$SECRETS/owner_password"`
\set app_password `cat "$SECRETS/app_password"`
ALTER ROLE spinetrial_owner NOCREATEDB PASSWORD :'owner_password';
ALTER ROLE spinetrial_app PASSWORD :'app_password';
SQL
