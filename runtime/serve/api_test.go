package serve

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"qpt/runtime"
)

// send is a request without a body.
func (s *testServer) send(method, path, key string) (int, tree) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", key)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, parse(s.t, string(data))
}

// TestResponseState: a response that goes on with another has the answer to the whole conversation; what is kept is the key's own.
func TestResponseState(t *testing.T) {
	s := start(t, Options{})
	first := s.ask("/v1/responses", `{"input":"Hi","max_output_tokens":8,"temperature":0,"metadata":{"a":"b"},"instructions":"Be brief."}`)
	id, said := first.str("id"), first.str("output.0.content.0.text")
	if first.str("metadata.a") != "b" || first.at("store") != true || first.num("max_output_tokens") != 8 {
		t.Errorf("%v", first)
	}
	second := s.ask("/v1/responses", fmt.Sprintf(`{"input":"More","max_output_tokens":8,"temperature":0,"previous_response_id":%q}`, id))
	whole := s.ask("/v1/responses", fmt.Sprintf(`{"input":[{"role":"user","content":"Hi"},{"role":"assistant","content":%q},{"role":"user","content":"More"}],"max_output_tokens":8,"temperature":0,"store":false}`, said))
	if got, want := second.str("output.0.content.0.text"), whole.str("output.0.content.0.text"); got != want || second.num("usage.input_tokens") != whole.num("usage.input_tokens") || second.str("previous_response_id") != id {
		t.Errorf("going on %q, the whole conversation %q; %v", got, want, second)
	}
	if status, r := s.send("GET", "/v1/responses/"+id, ""); status != 200 || r.str("output.0.content.0.text") != said {
		t.Errorf("kept: %d %v", status, r)
	}
	if status, r := s.send("GET", "/v1/responses/"+id+"/input_items", ""); status != 200 || r.str("data.0.content.0.text") != "Hi" || r.str("data.0.id") == "" {
		t.Errorf("its input: %d %v", status, r)
	}
	if status, _ := s.send("GET", "/v1/responses/"+whole.str("id"), ""); status != 404 {
		t.Errorf("store false: %d", status)
	}
	if status, r := s.send("DELETE", "/v1/responses/"+id, ""); status != 200 || r.at("deleted") != true {
		t.Errorf("deleted: %d %v", status, r)
	}
	if status, _ := s.send("GET", "/v1/responses/"+id, ""); status != 404 {
		t.Errorf("after that: %d", status)
	}
	var k keptResponses
	for i := range maxKept + 9 {
		if err := k.keep("me", &response{ID: fmt.Sprint(i)}, &responsesRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.conversation("me", "8"); err == nil || len(k.list) != maxKept {
		t.Errorf("%d are kept, the first: %v", len(k.list), err)
	}
	if _, err := k.conversation("other", "100"); err == nil {
		t.Error("another key sees it")
	}
	for len(k.list) > 0 {
		k.drop(0)
	}
	if k.bytes != 0 {
		t.Errorf("%d bytes are left", k.bytes)
	}
}

// TestResponseEvents: items come before their parts, and are what the official client can add to.
func TestResponseEvents(t *testing.T) {
	s := start(t, Options{})
	list, _ := s.events("/v1/responses", `{"input":"Hi","max_output_tokens":4,"stream":true,"include":["message.output_text.logprobs"],"top_logprobs":2}`)
	n := 0
	for _, e := range list {
		switch e.str("type") {
		case "response.output_item.added":
			if c, ok := e.at("item.content").([]any); !ok || len(c) > 0 {
				t.Errorf("a message begins with %v", e)
			}
		case "response.output_text.delta":
			n += len(e.at("logprobs").([]any))
			if e.at("logprobs.0.top_logprobs.1.logprob") == nil {
				t.Errorf("no alternatives in %v", e)
			}
		}
	}
	whole := list[len(list)-1]
	if got := len(whole.at("response.output.0.content.0.logprobs").([]any)); got != 4 || n != 4 {
		t.Errorf("%d and %d logprobs", n, got)
	}
}

// TestSpellings: what clients send besides, and means the same.
func TestSpellings(t *testing.T) {
	s := start(t, Options{})
	const chat = `"max_tokens":6,"temperature":0,`
	same := func(what, path, a, b, text string) {
		t.Helper()
		x, y := s.ask(path, a), s.ask(path, b)
		if x.str(text) != y.str(text) || x.num("usage.prompt_tokens") != y.num("usage.prompt_tokens") || x.str(text) == "" {
			t.Errorf("%s: %v, %v", what, x, y)
		}
	}
	const path, text = "/v1/chat/completions", "choices.0.message.content"
	same("a refusal", path, `{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"b"}]}`,
		`{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"b"}]}`, text)
	same("nothing said", path, `{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant"},{"role":"user","content":"b"}]}`,
		`{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},{"role":"user","content":"b"}]}`, text)
	same("the one call of old", path, `{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}},{"role":"function","name":"f","content":"b"}]}`,
		`{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","name":"f","content":"b"}]}`, text)

	begun := s.ask("/v1/messages", `{`+chat+`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"Once"}]}`)
	continued := s.ask(path, `{`+chat+`"continue_final_message":true,"add_generation_prompt":false,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"Once"}]}`)
	if begun.str("content.0.text") != continued.str(text) || continued.str(text) == "" {
		t.Errorf("an answer that is begun: %v, %v", begun, continued)
	}

	const conversation = `"input":[{"role":"user","content":"a"}],"instructions":"Be brief."`
	if n, m := s.ask("/v1/responses/input_tokens", `{`+conversation+`}`).num("input_tokens"), s.ask("/v1/responses", `{"max_output_tokens":1,`+conversation+`}`).num("usage.input_tokens"); n != m || n == 0 {
		t.Errorf("a response: %d tokens are counted, %d read", n, m)
	}
	if r := s.ask("/tokenize", `{"content":"a cat","with_pieces":true}`); r.str("tokens.0.piece") != " a" || r.num("tokens.0.id") == 0 {
		t.Errorf("pieces: %v", r)
	}

	const tools = `"tools":[{"type":"function","function":{"name":"f","description":null,"parameters":null}}]`
	if n, m := s.ask("/tokenize", `{"messages":[{"role":"user","content":"a"}],`+tools+`}`).num("count"), s.ask(path, `{`+chat+`"messages":[{"role":"user","content":"a"}],`+tools+`}`).num("usage.prompt_tokens"); n != m {
		t.Errorf("tools: %d tokens by /tokenize, %d by the chat", n, m)
	}
	for path, want := range map[string]string{"/api/generate": `"response":""`, "/api/chat": `"message":{"role":"assistant","content":""}`} {
		if status, text := s.post(path, `{"model":"tiny"}`); status != 200 || !strings.Contains(text, want) || !strings.Contains(text, `"done_reason":"load"`) {
			t.Errorf("%s without a text: %d %s", path, status, text)
		}
	}
	if r := s.ask("/api/generate", `{"prompt":"a","stream":false,"logprobs":true,"top_logprobs":2,"options":{"num_predict":3}}`); r.at("logprobs.2.top_logprobs.1.token") == nil {
		t.Errorf("logprobs: %v", r)
	}
}

// TestBestOf: the choices are those of n texts whose tokens are likeliest.
func TestBestOf(t *testing.T) {
	s := start(t, Options{})
	const body = `{"prompt":"Once upon","max_tokens":8,"seed":3,"temperature":1.5,"ignore_eos":true,`
	all := s.ask("/v1/completions", body+`"n":5,"logprobs":0}`)
	best, most := "", -1e9
	for i := range 5 {
		sum := 0.0
		for _, x := range all.at(fmt.Sprintf("choices.%d.logprobs.token_logprobs", i)).([]any) {
			sum += x.(float64)
		}
		if sum > most {
			best, most = all.str(fmt.Sprintf("choices.%d.text", i)), sum
		}
	}
	r := s.ask("/v1/completions", body+`"best_of":5}`)
	if r.str("choices.0.text") != best || r.at("choices.1") != nil || r.at("choices.0.logprobs") != nil || r.num("usage.completion_tokens") != 40 {
		t.Errorf("%v, want %q", r, best)
	}
	if r := s.ask("/v1/completions", `{"prompt":"Once upon","max_tokens":0,"echo":true,"logprobs":1}`); r.num("usage.completion_tokens") != 0 || !strings.HasSuffix(r.str("choices.0.text"), "Once upon") {
		t.Errorf("nothing but the prompt: %v", r)
	}
}

// TestVLLMParameters: what of vLLM's parameters changes a text or is told with it.
func TestVLLMParameters(t *testing.T) {
	s := start(t, Options{})
	const body = `{"prompt":"Once upon a time","max_tokens":12,"temperature":0,"return_token_ids":true,`
	plain := s.ask("/v1/completions", body+`"logprobs":1,"return_tokens_as_token_ids":true}`)
	ids := func(r tree, path string) (list []int) {
		for _, x := range r.at(path).([]any) {
			list = append(list, int(x.(float64)))
		}
		return list
	}
	wrote, asked := ids(plain, "choices.0.token_ids"), ids(plain, "choices.0.prompt_token_ids")
	if len(wrote) != 12 || len(asked) != plain.num("usage.prompt_tokens") || plain.str("choices.0.logprobs.tokens.3") != fmt.Sprint("token_id:", wrote[3]) || !strings.HasPrefix(plain.str("system_fingerprint"), "fp_") {
		t.Errorf("%v", plain)
	}
	if got := ids(s.ask("/v1/completions", body+fmt.Sprintf(`"allowed_token_ids":[%d,%d]}`, wrote[1], wrote[4])), "choices.0.token_ids"); slices.ContainsFunc(got, func(id int) bool { return id != wrote[1] && id != wrote[4] }) {
		t.Errorf("of the tokens %d and %d: %v", wrote[1], wrote[4], got)
	}
	_, text := s.post("/detokenize", fmt.Sprintf(`{"tokens":[%d,%d]}`, wrote[2], wrote[3]))
	word := parse(t, text).str("prompt")
	r := s.ask("/v1/completions", body+fmt.Sprintf(`"bad_words":[%q]}`, word))
	if got := ids(r, "choices.0.token_ids"); !slices.Equal(got[:3], wrote[:3]) || got[3] == wrote[3] || strings.Contains(r.str("choices.0.text"), word) {
		t.Errorf("without %q: %v, with it %v", word, got, wrote)
	}
	long := strings.Repeat("a cat ", 2000)
	if r := s.ask("/v1/completions", fmt.Sprintf(`{"prompt":%q,"max_tokens":1,"truncate_prompt_tokens":5}`, long)); r.num("usage.prompt_tokens") != 5 {
		t.Errorf("cut to 5 tokens: %v", r.at("usage"))
	}
	if r := s.ask("/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"truncate_prompt_tokens":-1}`, long)); r.num("usage.completion_tokens") != 1 {
		t.Errorf("cut to what the context holds: %v", r.at("usage"))
	}
	list, _ := s.events("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3,"return_token_ids":true,"stream":true}`)
	if list[0].at("prompt_token_ids.3") == nil || list[1].at("prompt_token_ids") != nil || list[1].at("choices.0.token_ids.0") == nil {
		t.Errorf("%v", list)
	}
	r = s.ask("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1,"prompt_logprobs":0}`)
	for _, v := range r.at("prompt_logprobs").([]any)[1:] {
		for _, p := range v.(map[string]any) {
			if (tree{p}).num("rank") < 1 {
				t.Errorf("no rank in %v", v)
			}
		}
	}
}

// TestContextIsNotExceeded: prompt and answer together have as many tokens as the models list says.
func TestContextIsNotExceeded(t *testing.T) {
	s := start(t, Options{})
	_, text := s.get("/v1/models")
	n := parse(t, text).num("data.0.max_model_len")
	ids := bytes.Repeat([]byte("300,"), n-4)
	for _, max := range []string{"", `"max_tokens":1000,`} {
		r := s.ask("/v1/completions", fmt.Sprintf(`{%s"prompt":[%s],"ignore_eos":true}`, max, ids[:len(ids)-1]))
		if r.num("usage.total_tokens") != n || r.str("choices.0.finish_reason") != "length" {
			t.Errorf("%v, want %d tokens", r.at("usage"), n)
		}
	}
}

// TestWideSchema: a schema that no mask can follow is the client's fault.
func TestWideSchema(t *testing.T) {
	s := startWith(t, Options{}, runtime.Options{})
	var properties []string
	for i := range 2000 {
		properties = append(properties, fmt.Sprintf(`"%d":{"type":"null"}`, i))
	}
	status, text := s.post("/v1/completions", `{"prompt":"a","guided_json":{"type":"object","properties":{`+strings.Join(properties, ",")+`},"additionalProperties":false}}`)
	if status != 400 || !strings.Contains(text, "too ambiguous") {
		t.Errorf("%d %.300s", status, text)
	}
}

// TestNames: an answer has the name that the request gave itself, or one of its own; models are listed for clients of both kinds.
func TestNames(t *testing.T) {
	s := start(t, Options{})
	for _, given := range []string{"", "mine"} {
		r, err := http.NewRequest("GET", s.url+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		if given != "" {
			r.Header.Set("X-Request-Id", given)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(a.Body)
		a.Body.Close()
		if id := a.Header.Get("X-Request-Id"); id == "" || given != "" && id != given || a.Header.Get("Request-Id") != id {
			t.Errorf("%q is called %q", given, id)
		}
		if r := parse(t, string(data)); r.str("data.0.display_name") != "tiny" || r.str("data.0.type") != "model" || r.str("last_id") != "other/name" || r.at("has_more") != false {
			t.Errorf("%v", r)
		}
	}
}

// TestTemplateVariables: documents and the effort reach a chat template that takes them; the request's own variables count more.
func TestTemplateVariables(t *testing.T) {
	s := start(t, Options{})
	for more, want := range map[string]string{
		``:                            "a</s> [assistant]",
		`,"documents":[{"text":"b"}]`: "a</s> b[assistant]",
		`,"reasoning_effort":"low"`:   "a</s> low[assistant]",
		`,"documents":[],"reasoning_effort":"low","chat_template_kwargs":{"reasoning_effort":"high"}`: "a</s> high[assistant]",
	} {
		ids := s.ask("/tokenize", `{"messages":[{"role":"user","content":"a"}]`+more+`}`)
		if text := s.ask("/detokenize", compact(map[string]any{"tokens": ids.at("tokens")})).str("prompt"); !strings.HasSuffix(text, want) {
			t.Errorf("%s: %q, want %q", more, text, want)
		}
	}
	if _, err := (&model{}).chatPrompt(&call{}, []byte(`[{"role":"user","content":"a"}]`), nil, &templating{Documents: []byte("[]")}); err == nil || !strings.Contains(err.Error(), "takes none") {
		t.Errorf("documents without a template: %v", err)
	}
}
