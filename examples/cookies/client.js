// Talks to the API with the cookies of the session; no script ever sees a token.

function csrfToken() {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith("csrf_token="));
  return found ? found.slice("csrf_token=".length) : "";
}

export async function api(path, options = {}) {
  const send = () =>
    fetch(path, { ...options, headers: { ...options.headers, "X-CSRF-Token": csrfToken() } });
  const answer = await send();
  return answer.status === 401 && (await refresh()) ? send() : answer;
}

// One tab at a time: two uses of one refresh token would end the session. The next in line already has the new cookie.
async function refresh() {
  return navigator.locks.request("refresh", async () => {
    const answer = await fetch("/auth/refresh", { method: "POST" });
    return answer.ok;
  });
}

export async function login(form) {
  const answer = await fetch("/auth/login", { method: "POST", body: new URLSearchParams(new FormData(form)) });
  return answer.ok;
}

export async function logout() {
  await fetch("/auth/logout", { method: "POST" });
}
