/** How a page is reached from the computer that a session over SSH comes from; nothing where the session is not one. */
export function remoteHint(url: string, connection = process.env.SSH_CONNECTION): string | undefined {
  // The address and port of the client, then those of this machine.
  const [, , host] = connection?.split(' ') ?? []
  if (host === undefined) return undefined
  const { port } = new URL(url)
  return `this is a session over SSH: \`ssh -L ${port}:127.0.0.1:${port} ${host}\` on your own computer shows the page there at ${url}; where port ${port} is taken, -L 9000:127.0.0.1:${port} shows it at http://127.0.0.1:9000/`
}
