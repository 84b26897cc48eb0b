import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import { describeMainJob } from '../conformance/main-job.ts'
import { mend } from './wedge.ts'

const url = process.env.OLLAMA_HOST
if (url === undefined) throw new Error('OLLAMA_HOST is not set; run these tests with: npm run test:ollama')

describeMainJob('a real Ollama', ['--backend', 'ollama', '--model', DEMO_MODEL], { OLLAMA_HOST: url }, () => mend(url))
