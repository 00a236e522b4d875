package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"qpt/internal/strictjson"
)

// maxDepth of a request's JSON: schemas take two levels for each of their own.
const maxDepth = 128

// readBody returns the JSON document of a request, whose syntax is good.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &apiError{status: http.StatusUnsupportedMediaType, kind: "invalid_request_error", message: "the Content-Type must be application/json"}
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

// decode fills the struct that v points to from a JSON object. Keys count as they are spelled, where package json
// would take MAX_TOKENS for max_tokens; those that v has no field for are left out, as OpenAI's clients expect.
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
