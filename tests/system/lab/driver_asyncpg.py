"""asyncpg as an application uses it: python driver_asyncpg.py ADDRESS"""

import asyncio
import sys

import asyncpg


async def work(word):
    connection = await asyncpg.connect(
        host=sys.argv[1], user="postgres", database="postgres", ssl=False, timeout=2
    )
    print(word, flush=True)
    while True:
        # Long ones: asyncpg cannot say what it was told between two statements.
        await connection.execute("select pg_sleep(0.5)")


async def main():
    word = "connected"
    while True:
        try:
            await work(word)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError) as error:
            if word == "connected":
                # A reset would be the cause; asyncpg itself drops the message that came
                # in the middle of a statement.
                cause = repr(error.__cause__)
                print("lost", getattr(error, "sqlstate", None), error, cause, flush=True)
            word = "back"
            await asyncio.sleep(0.1)


asyncio.run(main())
