"""psycopg 3 as an application uses it: python driver_psycopg.py ADDRESS"""

import sys
import time

import psycopg

INFO = dict(host=sys.argv[1], user="postgres", dbname="postgres", connect_timeout=2)


def work(word):
    with psycopg.connect(autocommit=True, **INFO) as connection:
        print(word, flush=True)
        while True:
            connection.execute("select pg_sleep(0.02)")


word = "connected"
while True:
    try:
        work(word)
    except psycopg.OperationalError as error:
        if word == "connected":
            print("lost", error.sqlstate, error, flush=True)
        word = "back"
        time.sleep(0.1)
