package checkpoint

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/gguf"
	"qpt/convert/hf"
	"qpt/convert/quantized"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/runtime/lm/tokenizer"
)

const stories = "../../testdata/stories260K"

// files are those of a folder by name; a name may have a folder in front.
type files map[string][]byte

func trained(t testing.TB) files {
	t.Helper()
	f := files{}
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(stories, name))
		if err != nil {
			t.Fatal(err)
		}
		f[name] = data
	}
	return f
}

func (f files) write(t testing.TB, dir string) string {
	t.Helper()
	for name, data := range f {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// set changes keys of a JSON file; "" removes one.
func (f files) set(t testing.TB, name string, keys map[string]string) {
	t.Helper()
	all := map[string]json.RawMessage{}
	if f[name] != nil {
		if err := json.Unmarshal(f[name], &all); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range keys {
		if delete(all, k); v != "" {
			all[k] = json.RawMessage(v)
		}
	}
	var err error
	if f[name], err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
}

// weights writes the tensors anew under other names (""; dropped), each in the file that split says.
func (f files) weights(t testing.TB, rename func(string) string, split func(string) string) {
	t.Helper()
	c, err := safetensors.Open(stories)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	delete(f, "model.safetensors")
	out := map[string][]safetensors.Spec{}
	from := map[string]string{}
	for _, name := range c.Names() {
		x, _ := c.Tensor(name)
		for _, to := range strings.Fields(rename(name)) {
			from[to] = name
			out[split(to)] = append(out[split(to)], safetensors.Spec{Name: to, DType: x.DType, Shape: x.Shape})
		}
	}
	for file, specs := range out {
		dir := t.TempDir()
		err := safetensors.WriteSharded(dir, 1, specs, nil, func(s safetensors.Spec, w io.Writer) error {
			x, _ := c.Tensor(from[s.Name])
			data, err := x.Bytes()
			if strings.HasPrefix(s.Name, "lm_head") && strings.Contains(rename("model.embed_tokens.weight"), "model.embed_tokens.weight") {
				data = append(make([]byte, 4), data[4:]...) // the head is not quite the embedding
			}
			if err == nil {
				_, err = w.Write(data)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if f[file], err = os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
}

func same(name string) string                { return name }
func single(string) string                   { return "model.safetensors" }
func always(name string) func(string) string { return func(string) string { return name } }

// TestOpen: every kind of file that may lie in a folder, beside others or in their place.
func TestOpen(t *testing.T) {
	lfs := []byte("version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("ab", 32) + "\nsize 1044984\n")
	for _, c := range []struct {
		name   string
		change func(f files)
		bad    error  // nil: it opens
		want   string // part of the error or of the notes; "" is no note
		check  func(f *Folder) bool
	}{
		{"as it is", nil, nil, "", func(f *Folder) bool { return f.Tokenizer != nil && len(f.Ignored) == 0 }},
		{"without an effect", func(f files) {
			for _, name := range []string{"README.md", ".gitattributes", "LICENSE", "pytorch_model.bin", "tokenizer.model", "preprocessor_config.json", "chat_template.json",
				"training_args.bin", "onnx/model.onnx", "original/params.json", "model.fp16.safetensors", "quantize_config.json", "merges.txt"} {
				f[name] = []byte("what no one reads")
			}
		}, nil, "", nil},
		{"null keys", func(f files) {
			f.set(t, "config.json", map[string]string{"quantization_config": "null", "sliding_window": "null", "_model_name_or_path": `"x"`, "unk_token_id": "0"})
			f.set(t, "tokenizer_config.json", map[string]string{"unheard_of": "null"})
		}, nil, "", nil},
		{"unknown key of config.json", func(f files) { f.set(t, "config.json", map[string]string{"unheard_of": "1"}) }, hf.ErrUnsupported, "config.json: unsupported config: unheard_of", nil},
		{"unknown key of tokenizer_config.json", func(f files) { f.set(t, "tokenizer_config.json", map[string]string{"unheard_of": "1"}) }, tokenizer.ErrUnsupported, "tokenizer_config.json: unsupported tokenizer: unheard_of", nil},
		{"unknown key of special_tokens_map.json", func(f files) { f.set(t, "special_tokens_map.json", map[string]string{"unheard_of": "1"}) }, tokenizer.ErrUnsupported, "special_tokens_map.json: unsupported tokenizer: unheard_of", nil},
		{"forced tokens", func(f files) { f.set(t, "generation_config.json", map[string]string{"suppress_tokens": "[3]"}) }, hf.ErrUnsupported, "generation_config.json: unsupported config: suppress_tokens", nil},
		{"sampling", func(f files) { f.set(t, "generation_config.json", map[string]string{"temperature": "0.6"}) }, nil, "suggests temperature 0.6", nil},

		{"adapter beside", func(f files) { f["adapter_config.json"] = []byte("{}") }, ErrInput, "adapter_config.json: an adapter", nil},
		{"optimum-quanto beside", func(f files) { f["quanto_qmap.json"] = []byte("{}") }, quantized.ErrInput, "it says quanto, but no tensor is quantized so", nil},
		{"LFS weights", func(f files) { f["model.safetensors"] = lfs }, ErrInput, "model.safetensors is a Git LFS pointer", nil},
		{"LFS tokenizer", func(f files) { f["tokenizer.json"] = lfs }, ErrInput, "tokenizer.json is a Git LFS pointer", nil},
		{"LFS config", func(f files) { f["config.json"] = lfs }, ErrInput, "config.json is a Git LFS pointer", nil},
		{"HTML weights", func(f files) { f["model.safetensors"] = []byte("\n<!DOCTYPE html>\n<html>") }, ErrInput, "is an HTML page", nil},
		{"HTML config", func(f files) { f["config.json"] = []byte("<html><body>login") }, ErrInput, "config.json is an HTML page", nil},
		{"JSON weights", func(f files) { f["model.safetensors"] = []byte(`{"error":"Repository not found"}`) }, ErrInput, "is JSON text", nil},
		{"GGUF under another name", func(f files) { f["model.safetensors"] = []byte("GGUF\x03\x00\x00\x00") }, ErrInput, "is a GGUF file", nil},
		{"pickle under another name", func(f files) { f["model.safetensors"] = []byte("PK\x03\x04\x00\x00") }, ErrInput, "is a zip archive", nil},
		{"pickle of an older PyTorch", func(f files) { f["model.safetensors"] = []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.") }, ErrInput, "is a Python pickle", nil},
		{"HDF5 under another name", func(f files) { f["model.safetensors"] = []byte("\x89HDF\r\n\x1a\n") }, ErrInput, "is an HDF5 file", nil},
		{"gzip under another name", func(f files) { f["model.safetensors"] = []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00") }, ErrInput, "is compressed by gzip", nil},
		{".qpt under another name", func(f files) { f["model.safetensors"] = []byte("\x89QPT\r\n\x1a\n") }, ErrInput, "is a .qpt file", nil},
		{"GGUF only", func(f files) { f.rename("model.safetensors", "m.gguf") }, gguf.ErrCorrupt, "m.gguf: corrupt GGUF file: it begins with", nil},
		{".bin only", func(f files) { f.rename("model.safetensors", "pytorch_model.bin") }, ErrInput, "has pytorch_model.bin, which is a Python pickle", nil},
		{"adapter only", func(f files) { f.rename("model.safetensors", "adapter_model.safetensors") }, ErrInput, "an adapter", nil},
		{"another name", func(f files) { f.rename("model.safetensors", "consolidated.safetensors") }, fs.ErrNotExist, "it has consolidated.safetensors: if that is the model, name it", nil},
		{"nothing", func(f files) { delete(f, "model.safetensors") }, fs.ErrNotExist, "neither", nil},
		{"no config", func(f files) { delete(f, "config.json") }, fs.ErrNotExist, "config.json", nil},

		{"single and index", func(f files) {
			whole := f["model.safetensors"]
			f.weights(t, same, always("model-00001-of-00001.safetensors"))
			f["model.safetensors"] = whole
			f["model.safetensors.index.json"] = []byte(`{"weight_map":{}}`)
		}, nil, "model.safetensors counts, as in transformers", func(f *Folder) bool { return filepath.Base(f.Tensors.Files()[0].Path) == "model.safetensors" }},
		{"no prefix", func(f files) { f.weights(t, func(s string) string { return strings.TrimPrefix(s, "model.") }, single) }, nil, "", nil},
		{"a wrapper's prefix", func(f files) { f.weights(t, func(s string) string { return "module." + s }, single) }, hf.ErrTensors, `names begin with "module."`, nil},
		{"GPTQ", func(f files) {
			f.weights(t, func(s string) string { return strings.Replace(s, "_proj.weight", "_proj.qweight", 1) }, single)
		}, hf.ErrTensors, "quantized by GPTQ or AWQ, but nothing says how", nil},
		{"a head that differs", func(f files) {
			f.weights(t, func(s string) string {
				return strings.Replace(s, "model.embed_tokens.weight", "model.embed_tokens.weight lm_head.weight", 1)
			}, single)
		}, nil, "lm_head.weight and model.embed_tokens.weight differ", func(f *Folder) bool { _, ok := f.Model.Graph.ParamMap()["lm_head.weight"]; return ok }},
		{"the head alone", func(f files) {
			f.weights(t, func(s string) string { return strings.Replace(s, "model.embed_tokens.weight", "lm_head.weight", 1) }, single)
		}, nil, "", nil},

		{"no tokenizer", func(f files) { delete(f, "tokenizer.json") }, nil, "no tokenizer.json: the file will take token ids, not text", func(f *Folder) bool { return f.Tokenizer == nil }},
		{"tokenizer.model only", func(f files) { f.rename("tokenizer.json", "tokenizer.model") }, nil, "tokenizer.model, which is there, is not read", nil},
		{"tiktoken only", func(f files) { f.rename("tokenizer.json", "qwen.tiktoken") }, nil, "qwen.tiktoken, which is there, is not read", nil},
		{"tokenizer of another file", func(f files) {
			f.set(t, "special_tokens_map.json", map[string]string{"eos_token": `{"content":"<|end|>","lstrip":false,"rstrip":false,"normalized":false,"single_word":false}`})
		}, nil, "the tokenizer has 513 tokens, the model 512", func(f *Folder) bool { id, ok := f.Tokenizer.ID("<|end|>"); return ok && id == 512 }},
		{"class in config.json", func(f files) {
			delete(f, "tokenizer_config.json")
			f.set(t, "config.json", map[string]string{"tokenizer_class": `"LlamaTokenizerFast"`})
		}, nil, "", func(f *Folder) bool { return f.Tokenizer.SpecialTokens()["bos_token"] == "<s>" }},
		{"templates", func(f files) {
			f.set(t, "tokenizer_config.json", map[string]string{"chat_template": `"old"`})
			f["chat_template.jinja"], f["additional_chat_templates/rag.jinja"] = []byte("new"), []byte("r")
		}, nil, "", func(f *Folder) bool {
			return f.Tokenizer.ChatTemplate() == "new" && maps.Equal(f.Tokenizer.ChatTemplates(), map[string]string{"rag": "r"})
		}},
		{"a list of templates", func(f files) {
			f.set(t, "tokenizer_config.json", map[string]string{"chat_template": `[{"name":"tool_use","template":"x"},{"name":"rag","template":"y"}]`})
		}, nil, "", func(f *Folder) bool { return f.Tokenizer.ChatTemplate() == "" && len(f.Tokenizer.ChatTemplates()) == 2 }},
		{"template that is no text", func(f files) { f["chat_template.jinja"] = []byte("caf\xe9") }, ErrInput, "chat_template.jinja is no UTF-8 text", nil},
	} {
		f := trained(t)
		if c.change != nil {
			c.change(f)
		}
		dir := f.write(t, filepath.Join(t.TempDir(), "tiny"))
		got, err := Open(dir)
		if c.bad != nil {
			if !errors.Is(err, c.bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		notes := strings.Join(got.Notes, "\n")
		if !strings.Contains(notes, c.want) || (notes == "") != (c.want == "") || c.check != nil && !c.check(got) || got.Name != "tiny" {
			t.Errorf("%s: %s, notes %q, want %q", c.name, got.Name, notes, c.want)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (f files) rename(from, to string) {
	f[to] = f[from]
	delete(f, from)
}

// TestHub: repositories in a cache of the hub, whose files are links to blobs.
func TestHub(t *testing.T) {
	hash := strings.Repeat("0123456789abcdef", 3)[:40]
	repo := filepath.Join(t.TempDir(), "hub", "models--acme--tiny-Model")
	snapshot := filepath.Join(repo, "snapshots", hash)
	blobs := trained(t).write(t, filepath.Join(repo, "blobs"))
	files{"refs/main": []byte(hash + "\n")}.write(t, repo)
	if err := os.MkdirAll(snapshot, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(blobs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join("..", "..", "blobs", e.Name()), filepath.Join(snapshot, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	try := func(path, name string) {
		t.Helper()
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if f.Name != name || f.Model.Name != name {
			t.Errorf("%s: %s, %s, want %s", path, f.Name, f.Model.Name, name)
		}
		if list := f.Files(); !slices.Contains(list, filepath.Join(f.Dir, "model.safetensors")) || !slices.Contains(list, filepath.Join(f.Dir, "tokenizer.json")) {
			t.Errorf("%s: files %q", path, list)
		}
	}
	for _, path := range []string{repo, snapshot, filepath.Join(snapshot, "model.safetensors"), repo + "/"} {
		try(path, "tiny-Model")
	}
	if err := os.Remove(filepath.Join(repo, "refs", "main")); err != nil {
		t.Fatal(err)
	}
	try(repo, "tiny-Model")
	if err := os.Mkdir(filepath.Join(repo, "snapshots", "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(repo); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "2 snapshots") {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(repo, "snapshots")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(repo); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "without a snapshot") {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	header := files{"m.gguf": []byte("GGUF\x03")}.write(t, t.TempDir())
	if _, err := Weights(filepath.Join(header, "m.gguf")); !errors.Is(err, gguf.ErrCorrupt) || !strings.Contains(err.Error(), "within its header") {
		t.Error(err)
	}
	c, err := Weights(stories)
	if err != nil || len(c.Names()) == 0 {
		t.Fatal(err)
	}
	c.Close()
}

// Heads are held against tables by value, whatever their dtypes.
func TestEqual(t *testing.T) {
	dir := t.TempDir()
	specs := []safetensors.Spec{{Name: "a", DType: safetensors.F32, Shape: []int{2, 1}}, {Name: "b", DType: safetensors.BF16, Shape: []int{2, 1}}, {Name: "c", DType: safetensors.BF16, Shape: []int{2, 1}}}
	err := safetensors.WriteSharded(dir, 1, specs, nil, func(s safetensors.Spec, w io.Writer) error {
		_, err := w.Write(map[string][]byte{"a": {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}, "b": {0x80, 0x3f, 0, 0x40}, "c": {0x80, 0x3f, 1, 0x40}}[s.Name])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := safetensors.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for pair, want := range map[string]bool{"aa": true, "ab": true, "ac": false, "bc": false, "ba": true} {
		if got, err := (tensors{stored.Plain(c)}).Equal(pair[:1], pair[1:]); err != nil || got != want {
			t.Errorf("%s: %v %v", pair, got, err)
		}
	}
}
