/**
 * `work`, or a rejection with `error` after `ms`. A race, since not everything listens to a signal: what does not goes on,
 * and its outcome is dropped. `error` is made when it is needed, and may look at how far the work has come.
 */
export async function deadline<T>(
  ms: number,
  work: Promise<T> | ((signal: AbortSignal) => Promise<T>),
  error: () => Error,
): Promise<T> {
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(error())
      abort.abort()
    }, ms)
  })
  try {
    return await Promise.race([typeof work === 'function' ? work(abort.signal) : work, passed])
  } finally {
    clearTimeout(timer)
  }
}
