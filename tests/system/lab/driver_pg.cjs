// node-postgres as an application uses it: a pool, and its own retry.
// node driver_pg.cjs FOLDER-OF-NODE-MODULES ADDRESS
const { createRequire } = require('node:module')
const { Pool } = createRequire(process.argv[2] + '/')('pg')

const pool = new Pool({
  host: process.argv[3],
  user: 'postgres',
  database: 'postgres',
  max: 1,
  connectionTimeoutMillis: 2000,
})
let word = 'connected'
function lost(error) {
  if (word === 'connected') console.log('lost', error.code, error.message)
  word = 'back'
}
// A client that lies in the pool hears it here; without this the program would end.
pool.on('error', lost)

async function main() {
  let said = ''
  for (;;) {
    // A query that was answered just before the connection was lost is not back.
    const now = word
    try {
      await pool.query('select pg_sleep(0.02)')
      if (said !== now) console.log(now)
      said = now
    } catch (error) {
      lost(error)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
main()
