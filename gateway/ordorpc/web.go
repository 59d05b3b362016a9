package ordorpc

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// withCORS lets pages of the origins use the handler.
func withCORS(next http.Handler, origins []string) http.Handler {
	all := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		switch {
		case all:
			h.Set("Access-Control-Allow-Origin", "*")
		case allowed(origins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
		default: // the browser keeps the answer from the page
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "POST, GET")
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Add("Vary", "Access-Control-Request-Headers")
			h.Set("Access-Control-Allow-Headers", asked)
		}
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

func allowed(origins []string, origin string) bool {
	return slices.ContainsFunc(origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) })
}

// withHosts refuses requests whose Host is neither an IP address nor one of the
// names: a page of a foreign name that resolves to this machine gets no answer.
func withHosts(next http.Handler, names []string) http.Handler {
	all := slices.Contains(names, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		known := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
		if !all && !known && host != "" && net.ParseIP(strings.Trim(host, "[]")) == nil {
			http.Error(w, "host name "+host+" is not among those that this door answers to", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
