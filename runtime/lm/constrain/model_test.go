package constrain_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"qpt/runtime/lm"
	"qpt/runtime/lm/constrain"
	"qpt/runtime/lm/lmtest"
	"qpt/runtime/lm/sample"
)

// A model at temperature 1.5 that knows nothing of JSON: whatever it ends is valid. QPT_SCHEMAS=2000 is the long form.
func TestModel(t *testing.T) {
	m := lmtest.Load(t, "da8w8")
	cache, err := m.Constraints()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	n := 150
	if s := os.Getenv("QPT_SCHEMAS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	finished, long := 0, 0
	for i := range n {
		text := constrain.RandomSchema(rand.New(rand.NewPCG(uint64(i), 11)), 2)
		g, err := cache.Compile(constrain.Spec{Schema: []byte(text)})
		if err != nil {
			continue
		}
		opt := lm.GenerateOptions{MaxTokens: 300, Sample: sample.Options{Temperature: 1.5, Seed: uint64(i)}, Constraint: g.Start()}
		opt.Logits = func(logits []float32, before []int32) error { // after a while it would like to come to the end
			for id := range logits {
				if b := string(tok.Bytes(int32(id))); len(before) > 80 && len(b) == 1 && strings.Contains(`"]}`, b) {
					logits[id] += 12
				}
			}
			return nil
		}
		out := ""
		var finish lm.Finish
		for step, err := range m.Generate(t.Context(), "The answer as JSON:", opt) {
			if err != nil {
				t.Fatalf("%s: after %s: %v", text, out, err)
			}
			out, finish = out+step.Text, step.Finish
		}
		if finish == lm.FinishLength || finish == lm.FinishContext {
			long++
			continue
		}
		finished++
		if err := constrain.Valid(t, constrain.Judge(t, text), out); err != nil {
			t.Errorf("%s: %s: %v", text, out, err)
		}
	}
	t.Logf("%d texts ended, %d did not", finished, long)
	if finished < n/2 {
		t.Errorf("of %d texts only %d ended", n, finished)
	}
}

// The other kinds of constraints, greedy, through the whole path.
func TestModelKinds(t *testing.T) {
	m := lmtest.Load(t, "f32")
	cache, err := m.Constraints()
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []constrain.Spec{
		{Regex: ", there was a (girl|boy) named [A-Z][a-z]{1,12}\\."}, {Choice: []string{" yes", " no"}}, {Grammar: "root ::= \" \" [a-z]{1,8} (\", \" [a-z]{1,8}){2} \".\""},
		{Schema: []byte(`{"type":"object","properties":{"n":{"type":"integer","minimum":7,"maximum":123}},"required":["n"]}`)},
	} {
		g, err := cache.Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for step, err := range m.Generate(t.Context(), "Once upon a time", lm.GenerateOptions{MaxTokens: 200, Constraint: g.Start(), Stop: []string{"never}"}}) {
			if err != nil {
				t.Fatal(err)
			}
			out += step.Text
			if step.Finish != "" && step.Finish != lm.FinishStop && step.Finish != lm.FinishEOS {
				t.Errorf("%s: %q ended by %s", spec.Key(), out, step.Finish)
			}
		}
		if !g.Matches(out) || spec.Schema != nil && !json.Valid([]byte(out)) {
			t.Errorf("%s: %q", spec.Key(), out)
		}
	}
}
