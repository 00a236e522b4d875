package serve

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const weatherTool = `{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"unit":{"enum":["celsius","kelvin"]},"days":{"type":"integer","minimum":1,"maximum":9}},"required":["unit","days"],"additionalProperties":false}}}`

// TestStructured: answers have the form that was asked for, by every API's parameter for it.
func TestStructured(t *testing.T) {
	s := start(t, Options{})
	user := `"messages":[{"role":"user","content":"Once upon a time"}],"max_tokens":200,"temperature":1,"seed":3,`
	schema := `{"type":"object","properties":{"name":{"type":"string","maxLength":9},"age":{"type":"integer","minimum":7,"maximum":12}},"required":["name","age"],"additionalProperties":false}`
	object := `^\{"name": ?"[^"]{0,60}", ?"age": ?([789]|1[012])\}$`
	for _, c := range []struct{ path, body, where, want string }{
		{"/v1/chat/completions", `{` + user + `"response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":` + schema + `}}}`, "choices.0.message.content", object},
		{"/v1/chat/completions", `{` + user + `"structured_outputs":{"json":` + schema + `}}`, "choices.0.message.content", object},
		{"/v1/chat/completions", `{` + user + `"structured_outputs":{"regex":"[a-c]{3}[0-9]{2}"}}`, "choices.0.message.content", `^[a-c]{3}[0-9]{2}$`},
		{"/v1/chat/completions", `{` + user + `"response_format":{"type":"json_object","schema":` + schema + `}}`, "choices.0.message.content", object},
		{"/v1/chat/completions", `{` + user + `"guided_json":` + schema + `}`, "choices.0.message.content", object},
		{"/v1/completions", `{"prompt":"x","max_tokens":200,"json_schema":` + schema + `}`, "choices.0.text", object},
		{"/v1/completions", `{"prompt":"x","max_tokens":20,"guided_regex":"[a-c]{3}"}`, "choices.0.text", `^[a-c]{3}$`},
		{"/v1/completions", `{"prompt":"x","max_tokens":20,"guided_choice":["yes","no"]}`, "choices.0.text", `^(yes|no)$`},
		{"/v1/completions", `{"prompt":"x","max_tokens":20,"guided_grammar":"start: \"a\" /[bc]/~2"}`, "choices.0.text", `^a[bc]{2}$`},
		{"/v1/completions", `{"prompt":"x","max_tokens":20,"grammar":"root ::= \"a\" [bc]{2}"}`, "choices.0.text", `^a[bc]{2}$`},
		{"/api/generate", `{"prompt":"x","raw":true,"stream":false,"format":` + schema + `}`, "response", object},
		{"/v1/messages", `{"messages":[{"role":"user","content":"x"}],"max_tokens":200,"output_format":{"type":"json_schema","schema":` + schema + `}}`, "content.0.text", object},
		{"/v1/messages", `{"messages":[{"role":"user","content":"x"}],"max_tokens":200,"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}}`, "content.0.text", object},
		{"/v1/chat/completions", `{` + user + `"tools":[` + weatherTool + `,{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"get_weather"}}]}}}`, "choices.0.message.tool_calls.0.function.name", `^get_weather$`},
		{"/v1/completions", `{"prompt":"x","max_tokens":20,"structured_outputs":{"choice":["yes","no"]}}`, "choices.0.text", `^(yes|no)$`},
		{"/v1/completions", `{"prompt":"x","max_tokens":20,"structured_outputs":{"grammar":"root ::= \"a\" [bc]{2}"}}`, "choices.0.text", `^a[bc]{2}$`},
		{"/v1/responses", `{"input":"x","max_output_tokens":200,"text":{"format":{"type":"json_schema","name":"a","strict":true,"schema":` + schema + `}}}`, "output.0.content.0.text", object},
		{"/api/generate", `{"prompt":"x","stream":false,"format":` + schema + `}`, "response", object},
		{"/v1/chat/completions", `{` + user + `"tools":[` + weatherTool + `],"tool_choice":"required"}`, "choices.0.message.tool_calls.0.function.arguments", `^\{"unit": ?"(celsius|kelvin)", ?"days": ?[1-9]\}$`},
		{"/v1/chat/completions", `{` + user + `"tools":[` + weatherTool + `],"tool_choice":{"type":"function","function":{"name":"get_weather"}}}`, "choices.0.message.tool_calls.0.function.name", `^get_weather$`},
	} {
		answer := s.ask(c.path, c.body)
		if got := answer.str(c.where); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s %s: %q, want %s, in %s", c.path, c.body, got, c.want, compact(answer.v))
		}
	}
	r := s.ask("/v1/chat/completions", `{`+user+`"response_format":{"type":"json_object"}}`)
	if text := r.str("choices.0.message.content"); !strings.HasPrefix(text, "{") || r.str("choices.0.finish_reason") == "stop" && !json.Valid([]byte(text)) {
		t.Errorf("json_object: %q", text)
	}
	// Each under its own, in one batch.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			body := fmt.Sprintf(`{%s"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{"k%d":{"const":%d}},"required":["k%d"]}}}}`, user, i, i, i)
			if got := strings.ReplaceAll(s.ask("/v1/chat/completions", body).str("choices.0.message.content"), " ", ""); got != fmt.Sprintf(`{"k%d":%d}`, i, i) {
				t.Errorf("%d: %s", i, got)
			}
		})
	}
	wg.Wait()
}

// TestStructuredRefused: what cannot be followed is said before the first token.
func TestStructuredRefused(t *testing.T) {
	s := start(t, Options{})
	for _, c := range []struct{ more, want string }{
		{`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","patternTypes":{}}}}`, `#: keyword \"patternTypes\" is not supported`},
		{`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"$ref":"http://127.0.0.1/s.json"}}}`, "nothing is fetched"},
		{`"response_format":{"type":"json_schema"}`, "without json_schema.schema"},
		{`"response_format":{"type":"xml"}`, `type \"xml\"`},
		{`"response_format":{"type":"json_object"},"structured_outputs":{"regex":"a"}`, "give one of them"},
		{`"guided_regex":"a","guided_choice":["b"]`, "guided_regex and guided_choice: give one of them"},
		{`"structured_outputs":{"structural_tag":"{}"}`, "structural_tag is not supported"},
		{`"tools":[{"type":"function","function":{"name":"a b"}}]`, "without blanks"},
		{`"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"b"}}]}}`, "none of the tools"},
		{`"structured_outputs":{"regex":"("}`, "missing closing )"},
		{`"structured_outputs":{"regex":"(a|b)*a(a|b){25}"}`, "states"},
		{`"structured_outputs":{"regex":"a","choice":["b"]}`, "give one of"},
		{`"structured_outputs":{}`, "give one of"},
		{`"structured_outputs":{"grammar":"root ::= root"}`, "no text satisfies"},
		{`"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"not":{}}}}],"tool_choice":"required"`, `tool \"f\"`},
	} {
		status, text := s.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}],"max_tokens":4,`+c.more+`}`)
		if status != 400 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %q", c.more, status, text, c.want)
		}
	}
}

// TestPage: the chat page is at /, without a key, and nothing else is.
func TestPage(t *testing.T) {
	s := start(t, Options{Keys: []string{"secret-key"}})
	if status, text := s.get("/"); status != 200 || !strings.HasPrefix(text, "<!doctype html>") {
		t.Errorf("/: %d", status)
	}
	if status, _ := s.get("/v1/models"); status != 401 {
		t.Errorf("/v1/models without a key: %d", status)
	}
	if status, _ := s.get("/index.html"); status != 401 {
		t.Errorf("/index.html without a key: %d", status)
	}
}
