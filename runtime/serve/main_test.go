package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

func TestMain(m *testing.M) { lmtest.Main(m) }

// template is a chat template with the marks of reasoning and of calls.
const template = `{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}` +
	`{% for t in m.tool_calls %}<tool_call>{{ t.function | tojson }}</tool_call>{% endfor %}{{ eos_token }}{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}` +
	`{% for d in documents or [] %}{{ d.text }}{% endfor %}{{ reasoning_effort }}{% if add_generation_prompt %}[assistant]{% if think %}<think>{% endif %}{% endif %}`

// open loads the bundled model with a chat template.
func open(t testing.TB, opt runtime.Options) *lm.Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stories-chat")
	if err := os.CopyFS(dir, os.DirFS(lmtest.Checkpoint)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer_config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	config["chat_template"] = template
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if opt.Threads == 0 {
		opt.Threads = 2
	}
	return lmtest.Open(t, dir, "da8w4", opt)
}

// testServer is a server that listens.
type testServer struct {
	*Server
	t   testing.TB
	url string
}

func start(t testing.TB, opt Options) *testServer {
	t.Helper()
	return startWith(t, opt, runtime.Options{})
}

func startWith(t testing.TB, opt Options, load runtime.Options) *testServer {
	t.Helper()
	m := open(t, load)
	s, err := New([]Model{{Name: "tiny", Aliases: []string{"other/name"}, LM: m}}, opt)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		ctx, cancel := contextFor(10 * time.Second)
		defer cancel()
		s.Close(ctx)
		if n := m.KVUsed(); n != 0 {
			t.Errorf("%d bytes of pages are not given back", n)
		}
	})
	return &testServer{s, t, h.URL}
}

// post sends JSON and returns the status and the body.
func (s *testServer) post(path, body string) (int, string) {
	s.t.Helper()
	r, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0, ""
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	return r.StatusCode, string(data)
}

func (s *testServer) get(path string) (int, string) {
	s.t.Helper()
	r, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	data, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(data)
}

// ask is post whose answer must be good, as a tree.
func (s *testServer) ask(path, body string) tree {
	s.t.Helper()
	status, text := s.post(path, body)
	if status != 200 {
		s.t.Fatalf("%s %s: %d %s", path, body, status, text)
	}
	return parse(s.t, text)
}

// tree is JSON by the path to a value: "choices.0.text".
type tree struct{ v any }

func parse(t testing.TB, text string) tree {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return tree{v}
}

func (t tree) at(path string) any {
	v := t.v
	for key := range strings.SplitSeq(path, ".") {
		switch o := v.(type) {
		case map[string]any:
			v = o[key]
		case []any:
			i := 0
			for _, c := range key {
				i = 10*i + int(c-'0')
			}
			if i >= len(o) {
				return nil
			}
			v = o[i]
		default:
			return nil
		}
	}
	return v
}

func (t tree) str(path string) string { s, _ := t.at(path).(string); return s }
func (t tree) num(path string) int    { f, _ := t.at(path).(float64); return int(f) }

// events are the data of a stream.
func (s *testServer) events(path, body string) (list []tree, done bool) {
	s.t.Helper()
	status, text := s.post(path, body)
	if status != 200 {
		s.t.Fatalf("%s: %d %s", path, status, text)
	}
	for line := range strings.Lines(text) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		switch {
		case !ok && !strings.HasPrefix(line, "{"):
			continue
		case !ok:
			data = line
		case data == "[DONE]":
			done = true
			continue
		}
		list = append(list, parse(s.t, data))
	}
	return list, done
}

func compact(v any) string {
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(v)
	return b.String()
}
