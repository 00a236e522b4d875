package hf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoPrompt: a prompt that sentence-transformers would put before each text is refused, and none is fine.
func TestNoPrompt(t *testing.T) {
	for text, want := range map[string]string{
		`{"prompts": {"query": "query: "}, "default_prompt_name": null}`:    "",
		`{"prompts": {"query": "query: "}, "default_prompt_name": "query"}`: `default_prompt_name`,
		`{`: "config_sentence_transformers.json",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config_sentence_transformers.json"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := sentenceConfig(dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
	if _, err := sentenceConfig(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// TestModules: what files of sentence-transformers 2 to 6 say of their modules.
func TestModules(t *testing.T) {
	write := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	modules := func(kinds ...string) string {
		list := `[{"name":"0","path":"","type":"sentence_transformers.base.modules.transformer.Transformer"}`
		for i, k := range kinds {
			list += fmt.Sprintf(`,{"name":"%[1]d","path":"%[1]d_%[2]s","type":"sentence_transformers.models.%[2]s"}`, i+1, k)
		}
		return list + "]"
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one mode":       {map[string]string{"modules.json": modules("Pooling"), "1_Pooling/config.json": `{"pooling_mode":"lasttoken"}`}, "pool [last]"},
		"in their order": {map[string]string{"modules.json": modules("Pooling"), "1_Pooling/config.json": `{"pooling_mode":["lasttoken","cls"]}`}, "pool [last first]"},
		"the old keys in the library's order": {map[string]string{"modules.json": modules("Pooling"),
			"1_Pooling/config.json": `{"pooling_mode_lasttoken":true,"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}`}, "pool [first last]"},
		"mean by default": {map[string]string{"modules.json": modules("Pooling"), "1_Pooling/config.json": `{}`}, "pool [mean]"},
		"dense and norms": {map[string]string{"modules.json": modules("Pooling", "Dropout", "LayerNorm", "Dense", "Normalize"), "1_Pooling/config.json": `{"pooling_mode":"cls"}`, "3_LayerNorm/config.json": `{"dimension":8}`,
			"4_Dense/config.json": `{"in_features":8,"out_features":4,"activation_function":"torch.nn.modules.activation.SiLU","module_input_name":"sentence_embedding"}`}, "pool [first] norm 3_LayerNorm.norm dense silu normalize"},
		"the model alone": {map[string]string{"modules.json": modules(), "config_sentence_transformers.json": `{"activation_fn":"torch.nn.modules.linear.Identity"}`,
			"sentence_bert_config.json": `{"transformer_task":"sequence-classification"}`}, "activation torch.nn.modules.linear.Identity"},
		"the tokenizer's length":     {map[string]string{"tokenizer_config.json": `{"model_max_length":256}`}, "most 256"},
		"the model's length counts":  {map[string]string{"tokenizer_config.json": `{"model_max_length":256}`, "modules.json": modules(), "sentence_bert_config.json": `{"max_seq_length":128}`}, "most 128"},
		"a length that says nothing": {map[string]string{"tokenizer_config.json": `{"model_max_length":1000000000000000019884624838656}`}, ""},
		"tokens' own embeddings":     {map[string]string{"modules.json": modules("Pooling", "Dense"), "1_Pooling/config.json": `{}`, "2_Dense/config.json": `{"in_features":8,"out_features":4,"module_input_name":"token_embeddings"}`}, "error: module_input_name"},
		"another task":               {map[string]string{"modules.json": modules(), "sentence_bert_config.json": `{"transformer_task":"text-generation"}`}, "error: transformer_task"},
		"a mode that is not known":   {map[string]string{"modules.json": modules("Pooling"), "1_Pooling/config.json": `{"pooling_mode":["cls","median"]}`}, "error: median"},
		"a module that is not known": {map[string]string{"modules.json": modules("LSTM"), "1_LSTM/config.json": `{}`}, "error: LSTM"},
	} {
		s, err := (&config{dir: write(c.files)}).sentence()
		if want, ok := strings.CutPrefix(c.want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", name, err, want)
			}
			continue
		}
		var got []string
		for _, m := range s.modules {
			switch {
			case m.pool != nil:
				got = append(got, fmt.Sprint("pool ", m.pool))
			case m.norm != nil:
				got = append(got, "norm "+m.norm.name)
			case m.dense != nil:
				got = append(got, "dense "+m.dense.act)
			default:
				got = append(got, "normalize")
			}
		}
		if s.activation != "" {
			got = append(got, "activation "+s.activation)
		}
		if s.most > 0 {
			got = append(got, fmt.Sprint("most ", s.most))
		}
		if text := strings.Join(got, " "); err != nil || text != c.want {
			t.Errorf("%s: %q, want %q: %v", name, text, c.want, err)
		}
	}
}
