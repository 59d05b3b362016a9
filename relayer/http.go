package relayer

import (
	"encoding/json"
	"net/http"
	"strings"
)

// answers are what a process that relays tells beside its metrics.
func (r *Relayer) answers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /health": func(w http.ResponseWriter, _ *http.Request) {
			code, status := http.StatusOK, "ok"
			if silent := r.silent(); len(silent) > 0 {
				code, status = http.StatusServiceUnavailable, "no answer from DA layer "+strings.Join(silent, ", ")
			}
			answer(w, code, map[string]any{"status": status})
		},
		"GET /status": func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, r.Status()) },
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}
