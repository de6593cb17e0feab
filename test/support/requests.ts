/**
 * Words for ping: so many requests at once, and five seconds for an answer that is late. With a short interval ping waits
 * behind its last request for two round trips only, which a busy machine exceeds.
 */
export const requests = (count: number): string[] => ["-c", String(count), "-l", String(count), "-i", "5", "-W", "5"];
