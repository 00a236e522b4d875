package serve

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/serve/sched"
)

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// TestInvariance: on the running server each request has the same answer, probabilities too, alone, among many others,
// with kept prefixes, and where pages are short.
func TestInvariance(t *testing.T) {
	n := 32
	if testing.Short() {
		n = 12
	}
	var paths, bodies []string
	for i := range n {
		if i%3 == 0 {
			paths = append(paths, "/v1/chat/completions")
			bodies = append(bodies, fmt.Sprintf(`{"messages":[{"role":"user","content":"Tell me of %s"}],"max_tokens":%d,"seed":%d,"logprobs":true,"top_logprobs":2,"ignore_eos":true}`,
				strings.Repeat("a cat ", i), 4+i%9, i))
			continue
		}
		paths = append(paths, "/v1/completions")
		bodies = append(bodies, fmt.Sprintf(`{"prompt":"Once upon a time %s","max_tokens":%d,"temperature":%d,"seed":%d,"logprobs":3,"ignore_eos":true}`,
			strings.Repeat("there was ", i), 4+i*7%60, i%2, i))
	}
	alone := start(t, Options{Sched: sched.Options{NoCache: true}})
	want := make([]string, n)
	for i := range bodies {
		want[i] = compact(alone.ask(paths[i], bodies[i]).at("choices"))
	}
	s := startWith(t, Options{Sched: sched.Options{TargetGap: 5 * time.Millisecond}}, runtime.Options{Threads: 1, KVMemory: 5 * 128 * 5 * 4 * 2 * 32 * 2})
	for range 2 {
		var wg sync.WaitGroup
		for i := range bodies {
			wg.Go(func() {
				status, text := s.post(paths[i], bodies[i])
				if status != 200 {
					t.Errorf("request %d: %d %s", i, status, text)
				} else if got := compact(parse(t, text).at("choices")); got != want[i] {
					t.Errorf("request %d: %s\nalone: %s", i, got, want[i])
				}
			})
		}
		wg.Wait()
	}
}

// TestStreamEqualsWhole: of every API the pieces of a stream make the whole answer.
func TestStreamEqualsWhole(t *testing.T) {
	s := start(t, Options{})
	const chat = `"messages":[{"role":"user","content":"Tell me a story."}],"max_tokens":24,`
	for _, c := range []struct {
		path, body  string
		whole       string // path of the text
		piece, last string // in events; what the last one must have
		done        bool
	}{
		{"/v1/completions", `{"prompt":"Once upon","max_tokens":24,"temperature":0,`, "choices.0.text", "choices.0.text", "choices.0.finish_reason", true},
		{"/v1/completions", `{"prompt":"Once upon","max_tokens":24,"temperature":2,"seed":5,"ignore_eos":true,"echo":true,`, "choices.0.text", "choices.0.text", "choices.0.finish_reason", true},
		{"/v1/chat/completions", `{"temperature":0,` + chat, "choices.0.message.content", "choices.0.delta.content", "choices.0.finish_reason", true},
		{"/v1/responses", `{"temperature":0,"input":"Tell me a story.","max_output_tokens":24,`, "output.0.content.0.text", "delta", "response.usage", false},
		{"/v1/messages", `{"temperature":0,` + chat, "content.0.text", "delta.text", "type", false},
		{"/api/chat", `{"options":{"temperature":0,"num_predict":24},` + chat, "message.content", "message.content", "eval_count", false},
		{"/api/generate", `{"prompt":"Tell me","options":{"temperature":0,"num_predict":24},`, "response", "response", "eval_count", false},
	} {
		whole := s.ask(c.path, c.body+`"stream":false}`).str(c.whole)
		list, done := s.events(c.path, c.body+`"stream":true}`)
		text := ""
		for _, e := range list {
			text += e.str(c.piece)
		}
		if text != whole || len(whole) < 10 || len(list) < 5 || done != c.done || list[len(list)-1].at(c.last) == nil {
			t.Errorf("%s: streamed %q in %d events, done %v; whole %q; last %v", c.path, text, len(list), done, whole, list[len(list)-1])
		}
	}
	list, _ := s.events("/v1/chat/completions", `{`+chat+`"n":2,"stream":true,"stream_options":{"include_usage":true}}`)
	last := list[len(list)-1]
	if last.num("usage.completion_tokens") == 0 || last.at("choices.0") != nil || list[0].str("choices.0.delta.role") != "assistant" {
		t.Errorf("usage: %v, first %v", last, list[0])
	}
	for _, e := range list[:len(list)-1] {
		if e.at("usage") != nil {
			t.Errorf("usage in %v", e)
		}
	}
	list, _ = s.events("/v1/responses", `{"input":"Hi","max_output_tokens":4,"stream":true}`)
	for i, e := range list {
		if e.num("sequence_number") != i {
			t.Errorf("event %d has number %d", i, e.num("sequence_number"))
		}
	}
}

// TestBadRequests: what is wrong is said in the API's shape, with the right code.
func TestBadRequests(t *testing.T) {
	s := start(t, Options{MaxBody: 1 << 16})
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v1/completions", `{`, 400, `"type":"invalid_request_error"`},
		{"/v1/completions", `[]`, 400, "must be a JSON object"},
		{"/v1/completions", `null`, 400, "must be a JSON object"},
		{"/v1/completions", `{}`, 400, "prompt is missing"},
		{"/v1/completions", `{"prompt":"a","prompt":"b"}`, 400, "prompt"},
		{"/v1/completions", `{"PROMPT":"a"}`, 400, "prompt is missing"},
		{"/v1/completions", `{"prompt":"a","max_tokens":"x"}`, 400, `"param":"max_tokens"`},
		{"/v1/completions", `{"prompt":"a","max_tokens":0}`, 400, "at least 1"},
		{"/v1/completions", `{"prompt":"a","temperature":-1}`, 400, `"param":"temperature"`},
		{"/v1/completions", `{"prompt":"a","temperature":1e999}`, 400, "temperature"},
		{"/v1/completions", `{"prompt":"a","n":129}`, 400, `"param":"n"`},
		{"/v1/completions", `{"prompt":["a","b"],"n":65}`, 400, "130 texts"},
		{"/v1/completions", `{"prompt":[512]}`, 400, "vocabulary of 512"},
		{"/v1/completions", `{"prompt":{}}`, 400, "prompt must be"},
		{"/v1/completions", `{"prompt":[]}`, 400, "empty list"},
		{"/v1/completions", `{"prompt":"a","logit_bias":{"x":1}}`, 400, "logit_bias"},
		{"/v1/completions", `{"prompt":"a","seed":1.5}`, 400, "seed"},
		{"/v1/completions", `{"prompt":"a","logprobs":21}`, 400, "logprobs"},
		{"/v1/completions", `{"prompt":"a","stop":[1]}`, 400, "stop: want a text or a list of texts"},
		{"/v1/completions", `{"prompt":"a","allowed_token_ids":[]}`, 400, `"param":"allowed_token_ids"`},
		{"/v1/completions", `{"prompt":"a","allowed_token_ids":[512]}`, 400, "allowed token 512"},
		{"/v1/completions", `{"prompt":"a","allowed_token_ids":[9],"guided_choice":["b"]}`, 400, "leaves no token"},
		{"/v1/completions", `{"prompt":"a","bad_words":[" "]}`, 400, "a word is empty"},
		{"/v1/completions", `{"prompt":"a","truncate_prompt_tokens":0}`, 400, "truncate_prompt_tokens 0"},
		{"/v1/completions", `{"prompt":"a","priority":"high"}`, 400, `"param":"priority"`},
		{"/detokenize", `{}`, 400, "tokens are missing"},
		{"/v1/completions", `{"prompt":"a","suffix":"b"}`, 400, "suffix"},
		{"/v1/completions", `{"prompt":"a","model":"b"}`, 404, `"code":"model_not_found"`},
		{"/v1/completions", `{"prompt":"` + strings.Repeat("a cat. ", 1000) + `"}`, 400, `"code":"context_length_exceeded"`},
		{"/v1/completions", `{"prompt":"` + strings.Repeat("a", 1<<16) + `"}`, 413, "65536 bytes"},
		{"/v1/chat/completions", `{"messages":[]}`, 400, "at least one message"},
		{"/v1/chat/completions", `{"messages":[{"role":"nobody","content":"a"}]}`, 400, `role \"nobody\"`},
		{"/v1/chat/completions", `{"messages":[{"role":"user"}]}`, 400, "content is missing"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://127.0.0.1/"}}]}]}`, 400, "image_url"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"tools":[{}]}`, 400, "tool 0"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"tool_choice":"required"}`, 400, "without tools"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"messages":[]}}`, 400, "not for a request"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"top_logprobs":3}`, 400, "without logprobs"},
		{"/v1/completions", `{"prompt":"a","logit_bias":{"-1":1}}`, 400, "bias of token -1"},
		{"/v1/completions", `{"prompt":"a","temperature":"hot"}`, 400, `"message":"temperature: string where a number is wanted","param":"temperature"`},
		{"/v1/completions", `{"prompt":"a","n":3,"best_of":2}`, 400, `"param":"best_of"`},
		{"/v1/completions", `{"prompt":"a","best_of":2,"stream":true}`, 400, "streamed"},
		{"/v1/completions", `{"prompt":[null]}`, 400, "prompt must be"},
		{"/v1/completions", `{"prompt":[[1],[null]]}`, 400, "prompt must be"},
		{"/v1/embeddings", `{"input":[null]}`, 400, "input must be"},
		{"/v1/responses", `{"input":"a","previous_response_id":"x"}`, 404, `"code":"response_not_found"`},
		{"/v1/responses", `{"input":[5]}`, 400, "item 0"},
		{"/v1/responses", `{"input":"a","background":true}`, 400, "background"},
		{"/v1/responses", `{"input":[{"type":"smell"}]}`, 400, "smell"},
		{"/v1/messages", `{"messages":[{"role":"user","content":"a"}]}`, 400, `{"error":{"message":"max_tokens is missing","type":"invalid_request_error"},"type":"error"}`},
		{"/api/pull", `{"model":"x"}`, 501, "files that it was started with"},
		{"/api/chat", `{"model":"x","messages":[{"role":"user","content":"a"}]}`, 404, `{"error":"the model`},
		{"/detokenize", `{"tokens":[-1]}`, 400, "vocabulary"},
		{"/detokenize", `{"tokens":["a"]}`, 400, "tokens"},
		{"/detokenize", `{"tokens":[null]}`, 400, "null among"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","description":5}}]}`, 400, "function.description"},
		{"/v1/messages", `{"max_tokens":4,"messages":[{"role":"user","content":"a"}],"tool_choice":{}}`, 400, "auto, any, none or tool"},
		{"/api/chat", `{"messages":[{"role":"user","content":"a"}],"think":"a lot"}`, 400, "think must be"},
		{"/rerank", `{"query":"a","documents":["a",null]}`, 400, `"param":"documents"`},
		{"/v1/messages", `{"max_tokens":4,"messages":[{"role":"user","content":[]}]}`, 400, "at least one block"},
		{"/v1/messages", `{"max_tokens":4,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"on"}}`, 400, "enabled, adaptive or disabled"},
		{"/v1/messages/count_tokens", `{"messages":[{"role":"user","content":[]}]}`, 400, "at least one block"},
		{"/v1/responses", `{"input":[{"role":"user"}]}`, 400, `"param":"input"`},
		{"/v1/responses", `{"input":"a","conversation":"b"}`, 400, "previous_response_id goes on"},
		{"/v1/responses", `{"input":"a","metadata":{"b":5}}`, 400, `"param":"metadata"`},
		{"/v1/responses", `{"input":"a","truncation":"some"}`, 400, "auto or disabled"},
		{"/v1/responses/x/cancel", ``, 404, "response_not_found"},
		{"/v1/embeddings", `{"input":"` + strings.Repeat("a cat. ", 1000) + `"}`, 400, `"param":"input"`},
		{"/", `{}`, 405, "takes GET"},
		{"/nowhere", `{}`, 404, "there is no /nowhere"},
		{"/health", `{}`, 405, "takes GET"},
		{"/v1/models", `{}`, 405, "takes GET"},
		{"/v1/messages", `{"max_tokens":4,"messages":[{"role":"user","content":[{"type":"text"}]}]}`, 400, "no text"},
		{"/api/chat", `{"messages":[{"role":"user","content":"a","images":["YQ=="]}]}`, 400, "images are not supported"},
		{"/api/generate", `{"prompt":"a","template":"{{ .Prompt }}"}`, 400, "template"},
		{"/v1/completions", `{"prompt":"a","max_tokens":3,"min_tokens":4}`, 400, `"param":"min_tokens"`},
		{"/v1/completions", `{"prompt":"a","use_beam_search":true}`, 400, `"message":"use_beam_search is not supported"`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"functions":[{"name":"f"}]}`, 400, `"param":"functions"`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"modalities":["text","audio"],"audio":{"voice":"a"}}`, 400, `"param":"audio"`},
		{"/v1/messages", `{"max_tokens":4,"messages":[{"role":"user","content":"a"}],"mcp_servers":[{"type":"url"}]}`, 400, "mcp_servers"},
		{"/api/chat", `{"messages":[{"role":"user","content":"a"}],"options":{"mirostat":2}}`, 400, "mirostat is not supported"},
	} {
		if status, text := s.post(c.path, c.body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %.100s: %d %s; want %d, %s", c.path, c.body, status, text, c.status, c.want)
		}
	}
	if r, err := http.Post(s.url+"/v1/completions", "text/plain", strings.NewReader(`{"prompt":"a"}`)); err != nil || r.StatusCode != 415 {
		t.Errorf("text/plain: %v, %v", r, err)
	}
	if status, _ := s.get("/v1/chat/completions"); status != 405 {
		t.Errorf("GET of a chat: %d", status)
	}
	if status, text := s.post("/v1/completions", `{"prompt":"a","max_tokens":1,"use_beam_search":false,"modalities":["text"],"functions":[],"echo":null,"tfs_z":1}`); status != 200 {
		t.Errorf("what asks for nothing: %d %s", status, text)
	}
	for _, c := range []struct {
		header string
		status int
	}{{"", 200}, {"Origin", 415}, {"Sec-Fetch-Site", 415}, {"Content-Encoding", 415}} { // Ollama's bodies need no type where no browser sends them
		r, _ := http.NewRequest("POST", s.url+"/api/show", strings.NewReader(`{"model":"tiny"}`))
		r.Header.Set(cmp.Or(c.header, "X"), "gzip")
		if a, err := http.DefaultClient.Do(r); err != nil || a.StatusCode != c.status {
			t.Errorf("untyped with %s: %v, %v", c.header, a, err)
		}
	}
}

// TestParameters: each does what its name says.
func TestParameters(t *testing.T) {
	s := start(t, Options{})
	r := s.ask("/v1/completions", `{"prompt":["Once upon","The cat"],"max_tokens":5,"temperature":0,"echo":true,"logprobs":1,"return_token_ids":true,"prompt_logprobs":1}`)
	for i, prompt := range []string{"Once upon", "The cat"} {
		at := func(p string) any { return r.at(fmt.Sprintf("choices.%d.%s", i, p)) }
		ids := at("token_ids").([]any)
		tokens, offsets := at("logprobs.tokens").([]any), at("logprobs.text_offset").([]any)
		if text := at("text").(string); !strings.HasPrefix(text, prompt) || len(ids) != 5 || len(tokens) != len(offsets) || len(tokens) <= 5 || at("logprobs.token_logprobs.0") != nil {
			t.Errorf("echo: %q, %v, %v", text, ids, tokens)
		}
		if p := at("prompt_logprobs").([]any); len(p) != len(tokens)-5 || p[0] != nil || p[1] == nil {
			t.Errorf("prompt_logprobs: %v", p)
		}
	}
	r = s.ask("/v1/chat/completions", `{"messages":[{"role":"developer","content":"x"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],"n":3,"max_tokens":6,"seed":1,"logprobs":true,"ignore_eos":true}`)
	if a, b := r.str("choices.0.message.content"), r.str("choices.2.message.content"); a == b || r.num("usage.completion_tokens") != 18 ||
		len(r.at("choices.1.logprobs.content").([]any)) != 6 || len(r.at("choices.1.logprobs.content.0.top_logprobs").([]any)) != 0 {
		t.Errorf("n: %v", r)
	}
	r = s.ask("/v1/completions", `{"prompt":"Once upon a time, there was","max_tokens":30,"temperature":0,"stop":"a l","include_stop_str_in_output":true}`)
	if r.str("choices.0.stop_reason") != "a l" || !strings.HasSuffix(r.str("choices.0.text"), "a l") {
		t.Errorf("stop: %v", r)
	}
	r = s.ask("/v1/completions", `{"prompt":"Once","max_tokens":4,"logit_bias":{"403":100}}`)
	if text := r.str("choices.0.text"); strings.Count(text, "Once") != 4 {
		t.Errorf("bias: %q", text)
	}
	a := s.ask("/v1/chat/completions", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"Once upon a"}],"continue_final_message":true,"add_generation_prompt":false,"max_tokens":3,"temperature":0}`)
	if text := a.str("choices.0.message.content"); !strings.HasPrefix(text, " time") {
		t.Errorf("continued by %q", text)
	}
	r = s.ask("/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"think":true},"max_tokens":12,"temperature":0,"ignore_eos":true}`)
	if r.str("choices.0.message.reasoning_content") == "" || r.str("choices.0.message.reasoning") == "" || r.str("choices.0.message.content") != "" {
		t.Errorf("reasoning: %v", r)
	}
	const long = `{"prompt":"Once upon a time, there was a little girl named Lily. She loved to play outside in the sun.","max_tokens":1}`
	s.ask("/v1/completions", long)
	if n := s.ask("/v1/completions", long).num("usage.prompt_tokens_details.cached_tokens"); n < 16 {
		t.Errorf("%d cached tokens", n)
	}
	const other = `{"prompt":["Once upon a time, there was a little girl named Lily. She loved to play outside in the sun.","Once upon a time, there was a little girl named Lily. She loved to play"],"max_tokens":1,"n":2}`
	if n := s.ask("/v1/completions", other).num("usage.prompt_tokens_details.cached_tokens"); n != 32 { // of both prompts, once each
		t.Errorf("%d cached tokens of two prompts", n)
	}
	if n := s.ask("/v1/completions", strings.Replace(long, `{`, `{"cache_salt":"x",`, 1)).num("usage.prompt_tokens_details.cached_tokens"); n != 0 {
		t.Errorf("%d cached tokens under another salt", n)
	}
	r = s.ask("/tokenize", `{"prompt":"Once upon","return_token_strs":true}`)
	ids := compact(r.at("tokens"))
	if r.num("count") != len(r.at("token_strs").([]any)) || !strings.HasPrefix(ids, "[1,403") {
		t.Errorf("tokenize: %v", r)
	}
	if text := s.ask("/detokenize", `{"tokens":[403,407]}`).str("prompt"); text != "Once upon" {
		t.Errorf("detokenize: %q", text)
	}
	if n := s.ask("/tokenize", `{"messages":[{"role":"user","content":"</s>"}]}`).at("tokens").([]any); strings.Count(compact(n), ",2,")+strings.Count(compact(n), ",2]") != 1 {
		t.Errorf("a user's </s> ends a text: %v", n)
	}
	n := s.ask("/v1/messages/count_tokens", `{"system":"Be brief","messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"2"}]}]}`).num("input_tokens")
	if n < 20 {
		t.Errorf("count_tokens: %d", n)
	}
	for path, want := range map[string]string{
		"/v1/models": `"id":"other/name"`, "/v1/models/tiny": `"max_model_len":512`, "/v1/models/other/name": `"root":"tiny"`,
		"/api/tags": `"name":"tiny"`, "/api/version": `"version":`, "/health": "ok", "/ready": "ok", "/version": "version",
	} {
		if status, text := s.get(path); status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _ := s.get("/v1/models/none"); status != 404 {
		t.Errorf("a model that is not there: %d", status)
	}
	if caps := s.ask("/api/show", `{"model":"tiny:latest"}`).at("capabilities"); compact(caps) != "[\"completion\",\"tools\",\"thinking\"]\n" {
		t.Errorf("capabilities %v", caps)
	}
	_, text := s.get("/metrics")
	for _, name := range []string{`qpt:num_requests_running{engine="0",model_name="tiny"} 0`, "qpt:num_requests_waiting", "qpt:kv_cache_usage_perc", "qpt:generation_tokens_total",
		"qpt:time_to_first_token_seconds_bucket", "qpt:inter_token_latency_seconds_sum", "qpt:e2e_request_latency_seconds_count", "qpt:prefix_cache_hits_total",
		`qpt:request_success_total{engine="0",finished_reason="length",model_name="tiny"}`, "qpt:request_prompt_tokens_bucket", `http_requests_total{handler="/v1/completions",method="POST",status="200"}`, "process_open_fds"} {
		if !strings.Contains(text, name) {
			t.Errorf("no %s in the metrics", name)
		}
	}
}

// TestGuards: keys, hosts, origins.
func TestGuards(t *testing.T) {
	s := start(t, Options{Keys: []string{"first-key", "second-key"}, Hosts: []string{"127.0.0.1"}, Origins: []string{"http://good"}})
	for _, c := range []struct {
		path   string
		header map[string]string
		status int
		want   string
	}{
		{"/v1/models", nil, 401, `"code":"invalid_api_key"`},
		{"/metrics", nil, 401, ""},
		{"/v1/models", map[string]string{"Authorization": "Bearer second-key"}, 200, ""},
		{"/v1/models", map[string]string{"Authorization": "Bearer second-ke"}, 401, ""},
		{"/v1/models", map[string]string{"Authorization": "second-key"}, 401, ""},
		{"/v1/models", map[string]string{"X-Api-Key": "first-key"}, 200, ""},
		{"/v1/messages", nil, 401, `"type":"authentication_error"`},
		{"/health", nil, 200, ""},
		{"/health", map[string]string{"Host": "evil.example"}, 421, "host"},
		{"/health", map[string]string{"Origin": "http://evil.example"}, 200, ""},
	} {
		r, err := http.NewRequest("GET", s.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			if r.Header.Set(k, v); k == "Host" {
				r.Host = v
			}
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(a.Body)
		a.Body.Close()
		if a.StatusCode != c.status || !strings.Contains(string(text), c.want) || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %v: %d %s %v", c.path, c.header, a.StatusCode, text, a.Header)
		}
	}
	probe, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	fmt.Fprint(probe, "GET /health HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(probe); err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 200") {
		t.Errorf("a probe without a host: %s, %v", text, err)
	}
	r, _ := http.NewRequest("OPTIONS", s.url+"/v1/models", nil)
	r.Header.Set("Origin", "http://good")
	if a, err := http.DefaultClient.Do(r); err != nil || a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != "http://good" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("a good origin: %v, %v", a, err)
	}
	if _, err := New([]Model{{Name: "x", LM: s.models[0].lm}}, Options{Keys: []string{"short"}}); err == nil {
		t.Error("a key of five characters is taken")
	}
	if _, err := New([]Model{{Name: "x", LM: s.models[0].lm}, {Name: "x", LM: s.models[0].lm}}, Options{}); err == nil {
		t.Error("two models of one name are taken")
	}
}

// TestLeaving: a client that leaves ends its texts; one that does not read holds nobody up.
func TestLeaving(t *testing.T) {
	s := start(t, Options{})
	const endless = `{"prompt":"Once","max_tokens":500,"ignore_eos":true,"stream":true,"n":4}`
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/completions", strings.NewReader(endless))
		r.Header.Set("Content-Type", "application/json")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(a.Body).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		cancel()
		a.Body.Close()
	}
	for i := 0; s.models[0].sched.Load().Running > 0; i++ {
		if i == 500 {
			t.Fatalf("still running: %+v", s.models[0].sched.Load())
		}
		time.Sleep(10 * time.Millisecond)
	}
	a, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(endless)) // never read
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	s.ask("/v1/completions", `{"prompt":"Once","max_tokens":3}`)
}

// TestConnectionKept: the time-out of one answer does not end the next one on the same connection.
func TestConnectionKept(t *testing.T) {
	s := start(t, Options{WriteTimeout: 200 * time.Millisecond})
	s.events("/v1/completions", `{"prompt":"Once","max_tokens":3,"stream":true}`)
	time.Sleep(300 * time.Millisecond)
	s.ask("/v1/completions", `{"prompt":"Once","max_tokens":3}`)
	time.Sleep(300 * time.Millisecond)
	s.get("/metrics")
}

// TestDrain: what runs comes to its end, what comes is refused, and the server is not ready.
func TestDrain(t *testing.T) {
	s := start(t, Options{})
	got := make(chan int)
	go func() {
		_, text := s.post("/v1/completions", `{"prompt":"Once","max_tokens":400,"ignore_eos":true}`)
		got <- parse(t, text).num("usage.completion_tokens")
	}()
	for s.models[0].sched.Load().Running == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := contextFor(20 * time.Second)
	defer cancel()
	s.Close(ctx)
	if n := <-got; n != 400 {
		t.Errorf("%d tokens of 400", n)
	}
	if status, text := s.post("/v1/completions", `{"prompt":"Once"}`); status != 503 || !strings.Contains(text, "shutting_down") {
		t.Errorf("after the end: %d %s", status, text)
	}
	if status, _ := s.get("/ready"); status != 503 {
		t.Errorf("ready: %d", status)
	}
	if status, _ := s.get("/health"); status != 200 {
		t.Errorf("health: %d", status)
	}
}
