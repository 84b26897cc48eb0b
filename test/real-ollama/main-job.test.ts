import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import { describeMainJob } from '../conformance/main-job.ts'

describeMainJob('a real Ollama', ['--backend', 'ollama', '--model', DEMO_MODEL], {
  OLLAMA_HOST: process.env.OLLAMA_HOST,
})
