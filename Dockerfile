FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=spinetrial.settings \
    DATA_DIR=/data \
    MPLCONFIGDIR=/tmp/matplotlib \
    STATIC_ROOT=/srv/static

RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin spinetrial \
    && mkdir /data /srv/static \
    && chown spinetrial /data

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
# Settings want every secret; the ones given here reach no layer and open nothing.
RUN python -m compileall -q . \
    && python -m spinetrial.po locale \
    && SECRET_KEY=build FIELD_KEYS=build DATABASE_URL=postgresql://build@/build \
       python manage.py collectstatic --noinput --verbosity 0

USER spinetrial
VOLUME /data
EXPOSE 8000
