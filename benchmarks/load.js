// Sends one kind of request from a fixed number of connections, each as fast as it is answered.
import http from "k6/http";
import { check } from "k6";

const form = { username: "ada@example.com", password: __ENV.PASSWORD };
const headers = { Authorization: `Bearer ${__ENV.TOKEN}` };
const note = JSON.stringify({ title: "Milk", stars: 5 });

export const options = {
  vus: Number(__ENV.CONNECTIONS),
  duration: __ENV.DURATION,
  summaryTrendStats: ["med", "p(99)"],
};

const kinds = {
  login: () => http.post(`${__ENV.TARGET}/auth/login`, form),
  me: () => http.get(`${__ENV.TARGET}/me`, { headers }),
  note: () =>
    http.post(`${__ENV.TARGET}/notes`, note, { headers: { ...headers, "Content-Type": "application/json" } }),
};

export default function () {
  const answer = kinds[__ENV.KIND]();
  check(answer, { "is a success": (a) => a.status < 300 });
}
