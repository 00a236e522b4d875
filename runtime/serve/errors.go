package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/chat"
	"qpt/runtime/lm/constrain"
	"qpt/runtime/lm/sample"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/serve/sched"
)

// apiError is what a client is told.
type apiError struct {
	status  int
	kind    string // OpenAI's type
	code    string
	param   string
	message string
	cause   error // for the log
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return e.message + ": " + e.cause.Error()
	}
	return e.message
}

// refuse is an error about a parameter of the request; "" if it is about no single one.
func refuse(param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "invalid_request_error", param: param, message: fmt.Sprintf(format, args...)}
}

// leftError ends a request whose client has left.
var errLeft = &apiError{status: 499, kind: "client_closed_request", message: "the client has left"}

// asAPI words an error for the client.
func asAPI(err error) *apiError {
	var e *apiError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &large):
		return &apiError{status: http.StatusRequestEntityTooLarge, kind: "invalid_request_error", message: fmt.Sprintf("the body has more than %d bytes", large.Limit)}
	case errors.Is(err, sched.ErrContext):
		return &apiError{status: http.StatusBadRequest, kind: "invalid_request_error", code: "context_length_exceeded", param: "messages",
			message: "this model's maximum context length is exceeded: " + err.Error()}
	case errors.Is(err, sched.ErrBusy):
		return &apiError{status: http.StatusTooManyRequests, kind: "rate_limit_error", code: "rate_limit_exceeded", message: err.Error() + ": try again later"}
	case errors.Is(err, sched.ErrClosed):
		return &apiError{status: http.StatusServiceUnavailable, kind: "server_error", code: "shutting_down", message: err.Error()}
	case errors.Is(err, runtime.ErrKVMemory):
		return &apiError{status: http.StatusServiceUnavailable, kind: "server_error", code: "out_of_memory", message: err.Error()}
	case errors.Is(err, chat.ErrMessages), errors.Is(err, chat.ErrTemplate):
		return refuse("messages", "%s", err)
	case errors.Is(err, tokenizer.ErrPattern), errors.Is(err, tokenizer.ErrLength), errors.Is(err, tokenizer.ErrUnknown), errors.Is(err, lm.ErrNoTokenizer), errors.Is(err, sched.ErrRequest), errors.Is(err, constrain.ErrSpec):
		return refuse("", "%s", err)
	case errors.Is(err, sample.ErrNone):
		return refuse("", "what the request allows leaves no token: %s", err)
	case errors.Is(err, context.Canceled):
		return errLeft
	}
	return &apiError{status: http.StatusInternalServerError, kind: "server_error", code: "internal_error", message: "internal error", cause: err}
}

// shape words errors as an API's clients expect them.
type shape func(e *apiError) any

// shapeOf is that of the API which a path belongs to.
func shapeOf(path string) shape {
	switch {
	case strings.HasPrefix(path, "/v1/messages"):
		return anthropicError
	case strings.HasPrefix(path, "/api/"):
		return ollamaError
	}
	return openAIError
}

func openAIError(e *apiError) any {
	none := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return map[string]any{"error": map[string]any{"message": e.message, "type": e.kind, "param": none(e.param), "code": none(e.code)}}
}

// writeError answers with an error, if nothing was answered yet.
func writeError(w http.ResponseWriter, e *apiError, as shape) {
	switch e.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, e.status, as(e))
}

// retryAfter is when a client that was refused for want of room may try again, in seconds.
const retryAfter = 2

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
