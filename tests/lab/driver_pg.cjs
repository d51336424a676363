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
// What happens to a client that lies in the pool; without it the program would end.
pool.on('error', () => {})

async function main() {
  let word = 'connected'
  let said = ''
  for (;;) {
    try {
      await pool.query('select pg_sleep(0.02)')
      if (said !== word) console.log(word)
      said = word
    } catch (error) {
      if (word === 'connected') console.log('lost', error.code, error.message)
      word = 'back'
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
main()
