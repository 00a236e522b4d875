package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"qpt/internal/strictjson"
)

// maxDepth of a request's JSON: schemas take two levels for each of their own.
const maxDepth = 128

// readBody returns the JSON document of a request, whose syntax is good.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); (err != nil || kind != "application/json") && !untyped(r) {
		return nil, &apiError{status: http.StatusUnsupportedMediaType, kind: "invalid_request_error", message: "the Content-Type must be application/json"}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &apiError{status: http.StatusUnsupportedMediaType, kind: "invalid_request_error", message: fmt.Sprintf("the Content-Encoding %.40q is not supported: send the body as it is", coding)}
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(s.opt.ReadTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opt.MaxBody))
	rc.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, err
	}
	if err != nil {
		return nil, &apiError{status: http.StatusRequestTimeout, kind: "invalid_request_error", message: "the body did not come: " + err.Error()}
	}
	if err := (strictjson.Rules{Depth: maxDepth}).Check(body); err != nil {
		return nil, refuse("", "%s", err)
	}
	return body, nil
}

// untyped tells whether a body may be JSON without being called so: Ollama's documents and clients often do not. Pages of other
// origins could send such a body unasked, but browsers say that it is they.
func untyped(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == ""
}

// unsupported are parameters of OpenAI, Anthropic, Ollama, vLLM and llama-server that would change an answer, with the value, besides null, that
// asks for nothing.
var unsupported = map[string]any{
	"audio": nil, "chat_template": nil, "prompt_embeds": nil, "thinking_token_budget": nil, "web_search_options": nil,
	"functions": []any{}, "logits_processors": []any{}, "mcp_servers": []any{}, "modalities": []any{"text"},
	"echo": false, "use_beam_search": false,
	"dry_multiplier": 0., "dynatemp_range": 0., "mirostat": 0., "xtc_probability": 0.,
	"repeat_penalty": 1., "tfs_z": 1., "typical_p": 1.,
}

// decode fills the struct that v points to from a JSON object. Keys count as they are spelled, where package json
// would take MAX_TOKENS for max_tokens; those that v has no field for are left out, as OpenAI's clients expect, but for those that are unsupported.
func decode(body []byte, v any) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil || all == nil {
		return refuse("", "the body must be a JSON object")
	}
	known, names := map[string]json.RawMessage{}, fields(reflect.TypeOf(v).Elem())
	for name, t := range names {
		value, ok := all[name]
		if !ok || bytes.Equal(value, []byte("null")) {
			continue
		}
		known[name] = value
		if t.Kind() != reflect.Slice || t.Elem().Kind() == reflect.Uint8 {
			continue
		}
		var items []json.RawMessage
		json.Unmarshal(value, &items) // what is no list is an error below
		for _, item := range items {
			if bytes.Equal(item, []byte("null")) { // which package json takes for a zero
				return refuse(name, "%s: null among the list's items", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unsupported)) {
		var asked any
		json.Unmarshal(all[name], &asked)
		if names[name] == nil && asked != nil && !reflect.DeepEqual(asked, unsupported[name]) {
			return refuse(name, "%s is not supported", name)
		}
	}
	exact, err := json.Marshal(known)
	if err != nil {
		return err
	}
	err = json.Unmarshal(exact, v)
	var wrong *json.UnmarshalTypeError
	var e *apiError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e): // of a field's own method, which does not know the field's name
		for name, value := range known {
			one, _ := json.Marshal(map[string]json.RawMessage{name: value})
			if json.Unmarshal(one, reflect.New(reflect.TypeOf(v).Elem()).Interface()) != nil {
				return refuse(name, "%s: %s", name, e.message)
			}
		}
		return err
	case errors.As(err, &wrong):
		param := wrong.Field // which begins with the names of embedded structs
		for first, rest, ok := strings.Cut(param, "."); ok && names[first] == nil; first, rest, ok = strings.Cut(param, ".") {
			param = rest
		}
		return refuse(param, "%s: %s where %s is wanted", param, wrong.Value, wanted(wrong.Type))
	}
	return refuse("", "%s", err)
}

// wanted names the JSON of a type.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// fields are the types of a struct's fields by their names in JSON.
func fields(t reflect.Type) map[string]reflect.Type {
	names := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			maps.Copy(names, fields(f.Type))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[name] = f.Type
	}
	return names
}
