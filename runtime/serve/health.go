package serve

import "net/http"

// health tells that the process lives.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready tells whether requests should be sent here.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.closing.Load() {
		writeError(w, &apiError{status: http.StatusServiceUnavailable, kind: "server_error", code: "shutting_down", message: "the server is shutting down"}, openAIError)
		return
	}
	for _, m := range s.models {
		if !s.opt.FirstUse && !m.loaded.Load() {
			writeError(w, &apiError{status: http.StatusServiceUnavailable, kind: "server_error", code: "loading", message: "models are being loaded"}, openAIError)
			return
		}
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"version": s.opt.Version})
}
