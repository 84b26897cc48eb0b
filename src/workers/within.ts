/** Does something for at most so long, ms; what fails or is late is left as it is. */
export async function within(ms: number, work: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work().catch(() => undefined), late])
  clearTimeout(timer)
}
