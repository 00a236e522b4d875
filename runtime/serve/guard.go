package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key is an API key as it is compared: by its hash.
type key [sha256.Size]byte

// name tells keys apart in logs and queues.
func (k key) name() string { return hex.EncodeToString(k[:4]) }

func hashKeys(list []string) (keys []key, err error) {
	for _, k := range list {
		if len(k) < 8 {
			return nil, errors.New("an API key has fewer than 8 characters")
		}
		keys = append(keys, sha256.Sum256([]byte(k)))
	}
	return keys, nil
}

type keyName struct{}

func keyOf(r *http.Request) string {
	name, _ := r.Context().Value(keyName{}).(string)
	return name
}

// given is the key that a request brings.
func given(r *http.Request) string {
	if scheme, k, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(k)
	}
	return r.Header.Get("X-Api-Key")
}

// allowed lets requests through that are for this server and bring a key. /health and /ready need none, nor does the chat
// page itself, which asks for one.
func (s *Server) allowed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Browsers, which could be led here by another name, always give one; probes of HTTP/1.0 do not.
		if len(s.opt.Hosts) > 0 && r.Host != "" && !slices.Contains(s.opt.Hosts, hostOf(r)) {
			writeError(w, &apiError{status: http.StatusMisdirectedRequest, kind: "invalid_request_error", code: "wrong_host",
				message: "this server does not answer for that host (--allow-host)"}, shapeOf(r.URL.Path))
			return
		}
		if !s.cors(w, r) {
			return
		}
		if len(s.keys) > 0 && !slices.Contains([]string{"/health", "/ready", "/"}, r.URL.Path) {
			sum := sha256.Sum256([]byte(given(r)))
			found := ""
			for _, k := range s.keys { // all of them, in the same time
				if subtle.ConstantTimeCompare(sum[:], k[:]) == 1 {
					found = k.name()
				}
			}
			if found == "" {
				writeError(w, &apiError{status: http.StatusUnauthorized, kind: "authentication_error", code: "invalid_api_key", message: "no valid API key was given"}, shapeOf(r.URL.Path))
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), keyName{}, found))
		}
		next.ServeHTTP(w, r)
	})
}

func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// cors answers questions of browsers about pages of other origins; it tells whether the request goes on.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if slices.Contains(s.opt.Origins, origin) || slices.Contains(s.opt.Origins, "*") && origin != "" {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key, Anthropic-Version")
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	return true
}

// logged writes a line a request, without anything of its texts, and counts it.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, n := time.Now(), &note{}
		id := cmp.Or(clip(r.Header.Get("X-Request-Id"), 128), newID("req_"))
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("Request-Id", id) // as Anthropic's clients read it
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK, timeout: s.opt.WriteTimeout}
		next.ServeHTTP(seen, r.WithContext(context.WithValue(r.Context(), noteKey{}, n)))
		took := time.Since(start)
		_, pattern := s.mux.Handler(r)
		_, path, _ := strings.Cut(pattern, " ")
		s.metrics.http.WithLabelValues(r.Method, path, strconv.Itoa(seen.status)).Inc()
		s.metrics.httpTime.WithLabelValues(r.Method, path).Observe(took.Seconds())
		level := slog.LevelInfo
		switch {
		case path == "/health" || path == "/ready" || path == "/metrics":
			level = slog.LevelDebug
		case seen.status >= 500:
			level = slog.LevelError
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		attrs := []slog.Attr{slog.String("method", r.Method), slog.String("path", path), slog.Int("status", seen.status), slog.Duration("took", took), slog.String("x-request-id", id)}
		if v := r.Header.Get("Traceparent"); v != "" {
			attrs = append(attrs, slog.String("traceparent", clip(v, 128)))
		}
		if n.model != "" {
			attrs = append(attrs, slog.String("model", n.model), slog.Int("prompt_tokens", n.prompt), slog.Int("completion_tokens", n.output))
		}
		if n.err != nil {
			attrs = append(attrs, slog.String("error", n.err.Error()))
		}
		s.opt.Log.LogAttrs(r.Context(), level, "request", attrs...)
	})
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// statusWriter notes the status of an answer, and gives it a time to be read in: a deadline stays with the connection,
// so that the one of the request before is over.
type statusWriter struct {
	http.ResponseWriter
	status  int
	began   bool
	timeout time.Duration
}

func (w *statusWriter) begin() {
	if !w.began {
		w.began = true
		http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.timeout))
	}
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) WriteHeader(status int) {
	w.begin()
	w.status = status
	if status == 499 { // nobody reads it, and net/http knows no such answer
		status = http.StatusBadRequest
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
