// `npm start`: the demo of the command line, `caesura demo`.
process.argv.splice(2, 0, 'demo')
await import('../src/cli/main.ts')
