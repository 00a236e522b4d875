package serve

import (
	"bytes"
	"context"
	"net/http"
)

// Do answers a request of this process, a POST of a JSON document, without keys and without a network: what batch work
// is made of.
func (s *Server) Do(ctx context.Context, path string, body []byte) (status int, answer []byte) {
	w := &kept{header: http.Header{}, status: http.StatusOK}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		writeError(w, refuse("url", "%.100q is no path", path), openAIError)
		return w.status, w.body.Bytes()
	}
	r.Header.Set("Content-Type", "application/json")
	s.logged(s.mux).ServeHTTP(w, r)
	return w.status, w.body.Bytes()
}

// kept is an answer that stays here.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
