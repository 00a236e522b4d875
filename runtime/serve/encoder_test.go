package serve

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qpt/convert"
	"qpt/internal/num"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
	"qpt/runtime/lm/tokenizer"
)

// family converts a family of testdata.
func family(t testing.TB, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name+".qpt")
	p, err := convert.MakePlan(convert.Options{In: "../../testdata/families/" + name, Scheme: "da8w8", Out: out})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	return out
}

func openEncoder(path string) func() (*lm.Model, *encoder.Model, error) {
	return func() (*lm.Model, *encoder.Model, error) {
		m, err := encoder.Load(path, runtime.Options{Threads: 2})
		return nil, m, err
	}
}

// mixedServer serves a language model and encoders, which are opened when they are asked for.
func mixedServer(t *testing.T) (*testServer, map[string]string) {
	t.Helper()
	paths := map[string]string{}
	models := []Model{{Name: "tiny", LM: open(t, runtime.Options{})}}
	for _, name := range []string{"bert-sentence", "bert", "bert-pairs", "xlm-roberta"} {
		paths[name] = family(t, name)
		models = append(models, Model{Name: name, Open: openEncoder(paths[name])})
	}
	models = append(models, Model{Name: "gone", Open: func() (*lm.Model, *encoder.Model, error) { return nil, nil, errors.New("no such file") }})
	s, err := New(models, Options{FirstUse: true})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		ctx, cancel := contextFor(10 * time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return &testServer{s, t, h.URL}, paths
}

func floats(v any) (list []float32) {
	for _, x := range v.([]any) {
		list = append(list, float32(x.(float64)))
	}
	return list
}

// TestEmbeddings: the server gives what the library gives, in each form of input and of answer, alone and among others.
func TestEmbeddings(t *testing.T) {
	s, paths := mixedServer(t)
	if r := s.ask("/v1/embeddings", `{"model":"bert-sentence","input":"the cat"}`); r.str("data.0.object") != "embedding" || r.num("usage.prompt_tokens") == 0 {
		t.Errorf("%v", r)
	}
	if a, b := s.ask("/pooling", `{"model":"bert-sentence","input":"the cat"}`), s.ask("/v1/embeddings", `{"model":"bert-sentence","input":"the cat"}`); a.str("data.0.object") != "pooling" || !slices.Equal(floats(a.at("data.0.data")), floats(b.at("data.0.embedding"))) {
		t.Errorf("pooling %v, embeddings %v", a, b)
	}
	m, err := encoder.Load(paths["bert-sentence"], runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	texts := []string{"the cat", "a dog sat on the mat", "i", "the sun"}
	want, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	r := s.ask("/v1/embeddings", `{"model":"bert-sentence","input":["the cat","a dog sat on the mat","i","the sun"]}`)
	for i := range texts {
		if got := floats(r.at(fmt.Sprintf("data.%d.embedding", i))); !slices.Equal(got, want[i]) || r.num(fmt.Sprintf("data.%d.index", i)) != i {
			t.Errorf("text %d: %v, want %v", i, got, want[i])
		}
	}
	r = s.ask("/v1/embeddings", `{"model":"bert-sentence","input":["the cat","i"],"encoding_format":"base64"}`)
	if got, want := r.str("data.1.embedding"), base64.StdEncoding.EncodeToString(num.BytesOf(want[2])); got != want {
		t.Errorf("base64 %q, want %q", got, want)
	}
	e, err := m.Encode(t.Context(), encoder.Input{Text: "the sun"})
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.ReplaceAll(fmt.Sprint(e.IDs), " ", ",")
	for _, input := range []string{ids, "[" + ids + "]"} {
		if got := floats(s.ask("/v1/embeddings", `{"model":"bert-sentence","input":`+input+`}`).at("data.0.embedding")); !slices.Equal(got, want[3]) {
			t.Errorf("ids %s: %v, want %v", input, got, want[3])
		}
	}
	got := floats(s.ask("/v1/embeddings", `{"model":"bert-sentence","input":"the cat","dimensions":4}`).at("data.0.embedding"))
	if len(got) != 4 || !slices.Equal(got, lm.Normalized(want[0][:4])) {
		t.Errorf("4 dimensions: %v", got)
	}
	r = s.ask("/api/embed", `{"model":"bert-sentence:latest","input":["the cat","i"]}`)
	if !slices.Equal(floats(r.at("embeddings.1")), want[2]) || r.num("prompt_eval_count") == 0 {
		t.Errorf("/api/embed: %v", r)
	}
	if r = s.ask("/api/embeddings", `{"model":"bert-sentence","prompt":"i"}`); !slices.Equal(floats(r.at("embedding")), want[2]) {
		t.Errorf("/api/embeddings: %v", r)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			r := s.ask("/v1/embeddings", fmt.Sprintf(`{"model":"bert-sentence","input":[%q,%q]}`, texts[i%4], texts[(i+1)%4]))
			if !slices.Equal(floats(r.at("data.0.embedding")), want[i%4]) || !slices.Equal(floats(r.at("data.1.embedding")), want[(i+1)%4]) {
				t.Errorf("among others: %v", r)
			}
		})
	}
	wg.Wait()
	// Of a language model: the last state of the last token, the same alone and beside others.
	both := s.ask("/v1/embeddings", `{"input":["Once upon a time","The cat"]}`)
	one := floats(s.ask("/v1/embeddings", `{"input":"The cat"}`).at("data.0.embedding"))
	sum := 0.0
	for _, x := range one {
		sum += float64(x) * float64(x)
	}
	if !slices.Equal(one, floats(both.at("data.1.embedding"))) || slices.Equal(one, floats(both.at("data.0.embedding"))) || math.Abs(sum-1) > 1e-5 {
		t.Errorf("of a language model: %v of length %v", one, sum)
	}
}

// TestLastState: embeddings of a language model are the hidden states that the library gives by name.
func TestLastState(t *testing.T) {
	m := open(t, runtime.Options{})
	ids := []int32{1, 403, 407, 261, 378}
	y, err := m.Run(t.Context(), map[string]runtime.Tensor{"ids": {Shape: []int{5}, I: ids}}, runtime.RunOptions{Hidden: true})
	if err != nil {
		t.Fatal(err)
	}
	h := y["hidden.final"]
	want := lm.Normalized(h.F[4*h.Shape[1]:])
	got, err := m.Embed(t.Context(), [][]int32{{1, 5}, ids})
	if err != nil || !slices.Equal(got[1], want) {
		t.Errorf("%v, want %v: %v", got, want, err)
	}
}

// TestClassifyAndRerank: scores are the library's, sorted where they are to be; each model is refused what it is not for.
func TestClassifyAndRerank(t *testing.T) {
	s, paths := mixedServer(t)
	m, err := encoder.Load(paths["bert"], runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, err := m.Classify(t.Context(), []encoder.Input{{Text: "the cat"}, {Text: "a dog"}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.ask("/classify", `{"model":"bert","input":["the cat","a dog"]}`)
	for i := range want {
		at := fmt.Sprintf("data.%d.", i)
		best := slices.Index(want[i], slices.Max(want[i]))
		if !slices.Equal(floats(r.at(at+"probs")), want[i]) || r.str(at+"label") != m.Labels()[best] || r.num(at+"num_classes") != len(want[i]) {
			t.Errorf("text %d: %v, want %v", i, r.at(at+"probs"), want[i])
		}
	}
	if r = s.ask("/classify", `{"model":"xlm-roberta","input":[5,6,7]}`); len(r.at("data.0.tokens").([]any)) != 3 || r.num("data.0.tokens.2.token_id") != 7 {
		t.Errorf("tokens: %v", r)
	}
	r = s.ask("/v1/rerank", `{"model":"bert-sentence","query":"the cat","documents":["a dog sat","the cat",{"text":"the sun"}]}`)
	list := r.at("results").([]any)
	if len(list) != 3 || r.num("results.0.index") != 1 || math.Abs(r.at("results.0.relevance_score").(float64)-1) > 1e-5 || r.str("results.0.document.text") != "the cat" {
		t.Errorf("rerank: %v", r)
	}
	first, _ := r.at("results.1.relevance_score").(float64)
	if second, _ := r.at("results.2.relevance_score").(float64); second > first {
		t.Errorf("rerank is not sorted: %v", r)
	}
	if r = s.ask("/rerank", `{"model":"bert-sentence","query":"the cat","documents":["a dog","the cat"],"top_n":1,"return_documents":false}`); len(r.at("results").([]any)) != 1 || r.at("results.0.document") != nil {
		t.Errorf("top_n: %v", r)
	}

	// The form of text-embeddings-inference: a bare list, the sigmoid of the logits.
	var sorted, raw, cos []rankedText
	for body, list := range map[string]*[]rankedText{
		`{"model":"bert-pairs","query":"the cat","texts":["a dog sat","the cat","the sun"],"return_text":true}`:                                               &sorted,
		`{"model":"bert-pairs","query":"the cat","texts":["a dog sat","the cat","the sun"],"raw_scores":true,"truncate":true,"truncation_direction":"Right"}`: &raw,
		`{"model":"bert-sentence","query":"the cat","texts":["a dog sat","the cat"]}`:                                                                         &cos,
	} {
		status, text := s.post("/rerank", body)
		if err := json.Unmarshal([]byte(text), list); status != 200 || err != nil {
			t.Fatalf("%s: %d %s %v", body, status, text, err)
		}
	}
	if len(sorted) != 3 || len(raw) != 3 || len(cos) != 2 || cos[0].Index != 1 || math.Abs(float64(cos[0].Score)-1) > 1e-5 {
		t.Fatalf("%v, %v, %v", sorted, raw, cos)
	}
	texts := []string{"a dog sat", "the cat", "the sun"}
	pairs, err := encoder.Load(paths["bert-pairs"], runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pairs.Close()
	for i, x := range sorted {
		e, err := pairs.Encode(t.Context(), encoder.Input{Text: "the cat", Pair: texts[x.Index]})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := pairs.Rows(t.Context(), []tokenizer.Encoding{e}, encoder.Logits)
		if err != nil {
			t.Fatal(err)
		}
		if raw[i].Index != x.Index || raw[i].Score != rows[0][0] || *x.Text != texts[x.Index] || raw[i].Text != nil || math.Abs(float64(x.Score)-1/(1+math.Exp(-float64(rows[0][0])))) > 1e-7 || i > 0 && x.Score > sorted[i-1].Score {
			t.Errorf("%d: %v, raw %v, want %v", i, x, raw[i], rows[0])
		}
	}
	r = s.ask("/score", `{"model":"bert-sentence","text_1":["the cat","a dog"],"text_2":["the cat","the sun"]}`)
	if x, _ := r.at("data.0.score").(float64); math.Abs(x-1) > 1e-5 || r.num("data.1.index") != 1 {
		t.Errorf("score: %v", r)
	}
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v1/embeddings", `{"model":"bert","input":"a"}`, 400, "classifies texts"},
		{"/v1/embeddings", `{"model":"bert-sentence"}`, 400, "input is missing"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":[]}`, 400, "empty list"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":[[]]}`, 400, "text 0 is empty"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":{"a":1}}`, 400, "input must be"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":[70000]}`, 400, "vocabulary"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":"a","dimensions":100000}`, 400, `"param":"dimensions"`},
		{"/v1/embeddings", `{"model":"bert-sentence","input":"a","encoding_format":"x"}`, 400, "float or base64"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":"` + strings.Repeat("the cat ", 40) + `"}`, 400, "context_length_exceeded"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":"` + strings.Repeat("the cat ", 40) + `","truncate_prompt_tokens":-1}`, 200, "embedding"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":"a","truncate_prompt_tokens":0}`, 400, "truncate_prompt_tokens"},
		{"/v1/embeddings", `{"model":"bert-sentence","input":"a","truncate_prompt_tokens":1}`, 400, "so short"},
		{"/api/embed", `{"model":"bert-sentence","input":"` + strings.Repeat("the cat ", 40) + `"}`, 200, "embeddings"},
		{"/api/embed", `{"model":"bert-sentence","truncate":false,"input":"` + strings.Repeat("the cat ", 40) + `"}`, 400, "32"},
		{"/v1/embeddings", `{"model":"gone","input":"a"}`, 500, "cannot be loaded"},
		{"/v1/embeddings", `{"model":"none","input":"a"}`, 404, "model_not_found"},
		{"/v1/completions", `{"model":"bert","prompt":"a"}`, 400, "reads whole texts"},
		{"/v1/chat/completions", `{"model":"bert","messages":[{"role":"user","content":"a"}]}`, 400, "reads whole texts"},
		{"/classify", `{"model":"bert-sentence","input":"a"}`, 400, "/v1/embeddings"},
		{"/classify", `{"model":"tiny","input":"a"}`, 400, "writes texts"},
		{"/rerank", `{"model":"tiny","query":"a","documents":["b"]}`, 400, "writes texts"},
		{"/rerank", `{"model":"bert","query":"a","documents":["b"]}`, 400, "scores no pairs"},
		{"/rerank", `{"model":"bert-sentence","query":"a"}`, 400, "documents are missing"},
		{"/rerank", `{"model":"bert-sentence","query":"a","documents":[1]}`, 400, "want a text"},
		{"/rerank", `{"model":"bert-sentence","query":"a","texts":[]}`, 400, "texts are missing"},
		{"/rerank", `{"model":"bert-sentence","query":"a","texts":[{"text":"b"}]}`, 400, "texts"},
		{"/rerank", `{"model":"bert-sentence","query":"a","texts":["b"],"documents":["c"]}`, 400, "documents beside texts"},
		{"/rerank", `{"model":"bert-sentence","query":"a","texts":["b"],"top_n":1}`, 400, "top_n beside texts"},
		{"/rerank", `{"model":"bert-sentence","query":"a","documents":["b"],"raw_scores":true}`, 400, "raw_scores beside documents"},
		{"/rerank", `{"model":"bert-sentence","query":"a","texts":["b"],"truncation_direction":"Left"}`, 400, "cut on the right"},
		{"/score", `{"model":"bert-sentence","text_1":["a","b"],"text_2":["a","b","c"]}`, 400, "text_1"},
	} {
		if status, text := s.post(c.path, c.body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %.100s: %d %s; want %d, %s", c.path, c.body, status, text, c.status, c.want)
		}
	}
}

// TestFirstUse: a model is loaded when it is asked for; before, it is listed as such.
func TestFirstUse(t *testing.T) {
	s, paths := mixedServer(t)
	if _, text := s.get("/v1/models/bert"); !strings.Contains(text, `"unloaded"`) || strings.Contains(text, "max_model_len") {
		t.Error(text)
	}
	if status, _ := s.get("/ready"); status != 200 {
		t.Errorf("ready: %d", status)
	}
	s.ask("/classify", `{"model":"bert","input":"a"}`)
	if _, text := s.get("/v1/models/bert"); !strings.Contains(text, `"loaded"`) || !strings.Contains(text, `"max_model_len":`) || !strings.Contains(text, `"owned_by"`) || strings.Contains(text, "capabilities") {
		t.Error(text)
	}
	for name, want := range map[string]string{"bert": "[]", "bert-pairs": "[]", "bert-sentence": `["embedding"]`} {
		if r := s.ask("/api/show", `{"model":"`+name+`"}`); strings.TrimSpace(compact(r.at("capabilities"))) != want {
			t.Errorf("%s: capabilities %v, want %s", name, r.at("capabilities"), want)
		}
	}
	if _, text := s.get("/api/ps"); !strings.Contains(text, `"bert"`) || strings.Contains(text, "xlm") {
		t.Error(text)
	}
	// Without FirstUse the server is ready when all are loaded.
	waits := make(chan struct{})
	opened := openEncoder(paths["bert"])
	n, err := New([]Model{{Name: "bert", Open: func() (*lm.Model, *encoder.Model, error) { <-waits; return opened() }}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(t.Context())
	ready := func() int {
		w := httptest.NewRecorder()
		n.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/ready", nil))
		return w.Code
	}
	if got := ready(); got != 503 {
		t.Errorf("before loading: %d", got)
	}
	close(waits)
	if err := n.Load(); err != nil || ready() != 200 {
		t.Errorf("loaded: %v, %d", err, ready())
	}
}

// TestBatcher: a request with many texts leaves room for others; those that leave are forgotten; what fails ends its own.
func TestBatcher(t *testing.T) {
	var mu sync.Mutex
	var passes [][]int32
	hold := make(chan struct{}, 1000)
	run := func(_ context.Context, texts []tokenizer.Encoding, _ string) ([][]float32, error) {
		<-hold
		mu.Lock()
		defer mu.Unlock()
		var pass []int32
		rows := make([][]float32, len(texts))
		for i, e := range texts {
			pass = append(pass, e.IDs[0])
			rows[i] = []float32{float32(e.IDs[0])}
			switch e.IDs[0] {
			case 100:
				panic("on purpose")
			case 101:
				return nil, errors.New("on purpose")
			case 102:
				rows[i][0] = float32(math.NaN())
			}
		}
		passes = append(passes, pass)
		return rows, nil
	}
	b := newBatcher(run, func() int { return 4 }, time.Minute, make(chan struct{}, 1))
	text := func(ids ...int32) (list []tokenizer.Encoding) {
		for _, id := range ids {
			list = append(list, tokenizer.Encoding{IDs: []int32{id}})
		}
		return list
	}
	var wg sync.WaitGroup
	ask := func(ctx context.Context, want string, ids ...int32) {
		running, waiting := b.load()
		before := running + waiting
		wg.Go(func() {
			rows, err := b.read(ctx, text(ids...), "y")
			if want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v: %v, want %q", ids, err, want)
				}
				return
			}
			for i, id := range ids {
				if err != nil || rows[i][0] != float32(id) {
					t.Errorf("%v: %v %v", ids, rows, err)
				}
			}
		})
		for { // it has arrived
			if running, waiting := b.load(); running+waiting > before {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	ask(t.Context(), "", 1)
	ask(t.Context(), "", 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
	ask(t.Context(), "", 20)
	left, cancel := context.WithCancel(t.Context())
	ask(left, "canceled", 30, 31)
	cancel()
	for range 50 {
		hold <- struct{}{}
	}
	wg.Wait()
	mu.Lock()
	if at := slices.IndexFunc(passes, func(p []int32) bool { return slices.Contains(p, 20) }); at > 2 {
		t.Errorf("one text waits behind many: %v", passes)
	}
	mu.Unlock()
	for bad, want := range map[int32]string{100: "internal error: on purpose", 101: "on purpose", 102: "not numbers"} {
		for range 3 {
			hold <- struct{}{}
		}
		if _, err := b.read(t.Context(), text(bad), "y"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", bad, err, want)
		}
	}
	ctx, cancel := contextFor(5 * time.Second)
	defer cancel()
	b.close(ctx)
	if _, err := b.read(t.Context(), text(1), "y"); err == nil {
		t.Error("a closed batcher reads")
	}
}

// TestBatcherGap: passes of many texts become as short as others can wait, once it is seen how long they take.
func TestBatcherGap(t *testing.T) {
	const row = 200 * time.Microsecond
	var mu sync.Mutex
	var passes []int
	b := newBatcher(func(_ context.Context, texts []tokenizer.Encoding, _ string) ([][]float32, error) {
		time.Sleep(time.Duration(8*len(texts)) * row)
		mu.Lock()
		defer mu.Unlock()
		passes = append(passes, len(texts))
		return make([][]float32, len(texts)), nil
	}, func() int { return 4096 }, 20*time.Millisecond, make(chan struct{}, 1))
	texts := make([]tokenizer.Encoding, 150)
	for i := range texts {
		texts[i].IDs = make([]int32, 8)
	}
	if _, err := b.read(t.Context(), texts, "y"); err != nil {
		t.Fatal(err)
	}
	b.close(t.Context())
	if n := slices.Max(passes); n*8 > int(20*time.Millisecond/row) || len(passes) > 80 {
		t.Errorf("passes of %v texts of 8 rows, of which 100 rows take 20 ms", passes)
	}
}
