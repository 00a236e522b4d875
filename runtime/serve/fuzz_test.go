package serve

import (
	"net/http/httptest"
	"strings"
	"testing"

	"qpt/runtime"
)

// weather is a tool.
const weather = `{"type":"function","function":{"name":"get_weather","strict":true,"description":null,"parameters":{"type":"object","properties":{"unit":{"enum":["celsius","fahrenheit"]}}}}}`

// FuzzRequest: no body makes the server fail: each is answered, or refused for what it is.
func FuzzRequest(f *testing.F) {
	paths := []string{"/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/api/chat", "/api/generate", "/api/show", "/tokenize", "/detokenize",
		"/v1/embeddings", "/api/embed", "/api/embeddings", "/rerank", "/score", "/classify"}
	const rest = `,"max_tokens":2,"max_output_tokens":2,"options":{"num_predict":2},"input":"a","stream":false`
	for i, body := range []string{
		`{"prompt":["a","b"],"n":2,"echo":true,"logprobs":2,"stop":["x"],"logit_bias":{"5":1}` + rest + `}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}],"tools":[` + weather + `]` + rest + `}`,
		`{"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","output":"x"}],"tools":[{"type":"function","name":"f"}]` + rest + `}`,
		`{"system":[{"type":"text","text":"a"}],"messages":[{"role":"user","content":[{"type":"tool_result","content":[]}]}]` + rest + `}`,
		`{"response_format":{"type":"json_schema","json_schema":{"schema":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}},"messages":[{"role":"user","content":"a"}]` + rest + `}`,
		`{"model":"sentence","input":["a","b"],"dimensions":2,"truncate_prompt_tokens":4}`,
		`{"model":"sentence","query":"a","documents":["b",{"text":"c"}],"top_n":1,"text_1":"a","text_2":["b"]}`,
		`{"model":"tiny","tokens":[1,2],"prompt":"\ud800","content":"<s>"}`,
	} {
		f.Add(i, body)
		f.Add(i+9, body)
	}
	m := open(f, runtime.Options{Context: 48, KVMemory: 1 << 24})
	s, err := New([]Model{{Name: "tiny", LM: m}, {Name: "sentence", Open: openEncoder(family(f, "bert-sentence"))}}, Options{MaxBody: 1 << 16, FirstUse: true})
	if err != nil {
		f.Fatal(err)
	}
	h := s.Handler()
	f.Cleanup(func() {
		ctx, cancel := contextFor(0)
		defer cancel()
		s.Close(ctx)
	})
	f.Fuzz(func(t *testing.T, i int, body string) {
		path := paths[uint(i)%uint(len(paths))]
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
		}
	})
}
