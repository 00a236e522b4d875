// Package checkpoint opens a checkpoint's folder: the weights, config.json and
// what turns text into ids, by one rule for every file and every key
// (spec/checkpoint.md): honoured, known to have no effect, or refused by name.
// The reference is transformers 5.
//
//	f, err := checkpoint.Open("Llama-3.2-1B")
//	if err != nil { ... }
//	defer f.Close()
//	f.Model.Graph, f.Tensors, f.Tokenizer
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"qpt/convert/export"
	"qpt/convert/gguf"
	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/runtime/lm/tokenizer"
)

// ErrInput is matched by errors about files of the folder that are not what
// their names say, or ask for what is not there.
var ErrInput = errors.New("bad checkpoint")

// Folder is an open checkpoint.
type Folder struct {
	Dir       string // where the files are
	Name      string // the model's: the folder's, or that of the repository in a cache of the hub
	Tensors   *stored.Checkpoint
	Model     *hf.Model            // fitted to the tensors
	Tokenizer *tokenizer.Tokenizer // nil: there is none
	Ignored   []string             // tensors without an effect
	Notes     []string
	Static    []export.Static // values that a quantized program keeps as codes

	plain *safetensors.Checkpoint // nil of GGUF
	files []string
	gguf  bool
	side  map[string][]byte // see Side
}

// Open opens a checkpoint: a folder, a repository in a cache of the hub
// (models--NAME--NAME, or one of its snapshots), a .safetensors file or an index
// beside config.json, or a GGUF file.
func Open(path string) (*Folder, error) {
	f := &Folder{}
	weights, err := f.place(path)
	if err != nil {
		return nil, err
	}
	open := f.open
	if file, err := ggufOf(weights); err != nil {
		return nil, err
	} else if file != "" {
		open, weights = f.openGGUF, file
	}
	if err := open(weights); err != nil {
		f.Close()
		if gguf.Is(weights) { // it is what its name says
			return nil, err
		}
		return nil, explain(err, f.Dir, weights)
	}
	return f, nil
}

// Weights opens the tensors alone, of a path as Open takes it.
func Weights(path string) (*stored.Checkpoint, error) {
	f := &Folder{}
	weights, err := f.place(path)
	if err != nil {
		return nil, err
	}
	if file, err := ggufOf(weights); err != nil {
		return nil, err
	} else if file != "" {
		g, err := gguf.Open(file)
		if err != nil {
			return nil, err
		}
		return g.Tensors, nil
	}
	err = f.openWeights(weights)
	if err == nil && exists(filepath.Join(f.Dir, "config.json")) { // which says whether they are quantized
		err = f.openConfig()
	}
	if err != nil {
		f.Close()
		return nil, explain(err, f.Dir, weights)
	}
	return f.Tensors, nil
}

func (f *Folder) open(weights string) (err error) {
	if strings.EqualFold(filepath.Ext(weights), ".pt2") {
		return f.openExport(weights)
	}
	if err := f.refuse(); err != nil {
		return err
	}
	if err := f.openWeights(weights); err != nil {
		return err
	}
	if err := f.openConfig(); err != nil {
		return err
	}
	f.Notes = append(f.Notes, f.Tensors.Warnings()...)
	f.Model.Name = f.Name
	if f.Ignored, err = f.Model.Fit(tensors{f.Tensors}); err != nil {
		return fmt.Errorf("%s: %w", weights, err)
	}
	f.Notes = append(f.Notes, f.Model.Notes...)
	return f.openTokenizer()
}

// openWeights opens the tensors as they are stored.
func (f *Folder) openWeights(weights string) error {
	c, err := safetensors.Open(weights)
	if errors.Is(err, fs.ErrNotExist) {
		return f.noWeights(err)
	}
	if err != nil {
		return err
	}
	f.plain, f.Tensors = c, stored.Plain(c)
	return nil
}

// openConfig reads the config, and joins the tensors of what is quantized and of further modules.
func (f *Folder) openConfig() (err error) {
	if f.Model, err = hf.Load(f.Dir); err != nil {
		return err
	}
	if err := f.quantized(); err != nil {
		return err
	}
	for _, module := range f.Model.Modules() {
		if err := f.openModule(module); err != nil {
			return err
		}
	}
	return nil
}

// openExport opens an archive of torch.export.
func (f *Folder) openExport(path string) error {
	a, err := export.Open(path)
	if err != nil {
		return err
	}
	f.Name = a.Name
	f.Model = &hf.Model{Name: a.Name, Type: "torch.export", Graph: a.Graph, BOS: -1}
	f.Static = a.Static
	f.Tensors, err = stored.New(a.Tensors, stored.Source{Files: []stored.File{a.File}, Close: a.Close})
	f.Notes = a.Notes
	return err
}

// openModule takes in the tensors of a layer of sentence-transformers.
func (f *Folder) openModule(module string) error {
	c, err := safetensors.Open(filepath.Join(f.Dir, module, "model.safetensors"))
	if bin := filepath.Join(f.Dir, module, "pytorch_model.bin"); errors.Is(err, fs.ErrNotExist) && exists(bin) {
		return fmt.Errorf("%w: %s is a Python pickle and is not read: save the model as safetensors, in Python SentenceTransformer(DIR).save(NEW)", ErrInput, bin)
	}
	if err != nil {
		return err
	}
	if err := f.Tensors.Join(module+".", stored.Plain(c)); err != nil {
		c.Close()
		return err
	}
	return nil
}

// Close releases the weights.
func (f *Folder) Close() error {
	if f.Tensors == nil {
		return nil
	}
	return f.Tensors.Close()
}

// Files are all files that were read, or would have been read had they been there.
func (f *Folder) Files() []string {
	list := append([]string(nil), f.files...)
	if f.gguf {
		for _, t := range f.Tensors.Files() {
			list = append(list, t.Path)
		}
		return list
	}
	for _, name := range []string{"config.json", "generation_config.json", "model.safetensors.index.json", "modules.json"} {
		list = append(list, filepath.Join(f.Dir, name))
	}
	if f.Tensors != nil {
		for _, t := range f.Tensors.Files() {
			list = append(list, t.Path)
		}
	}
	return list
}

// place finds the folder, the model's name and what to open for the weights.
func (f *Folder) place(path string) (weights string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if f.Dir = path; !st.IsDir() {
		f.Dir, f.Name, err = filepath.Dir(path), "", nil
	}
	abs, err := filepath.Abs(f.Dir)
	if err != nil {
		return "", err
	}
	if st.IsDir() && strings.HasPrefix(filepath.Base(abs), hubPrefix) {
		if f.Dir, err = snapshot(path); err != nil {
			return "", err
		}
		path, abs = f.Dir, abs+"/"
	}
	f.Name = filepath.Base(abs)
	for dir := abs; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if base := filepath.Base(dir); strings.HasPrefix(base, hubPrefix) {
			parts := strings.Split(base, "--")
			f.Name = parts[len(parts)-1]
			break
		}
		if filepath.Base(filepath.Dir(dir)) != "snapshots" && filepath.Base(dir) != "snapshots" {
			break
		}
	}
	return path, nil
}

// A repository in the hub's cache is a folder models--OWNER--NAME with a folder
// of links for each revision and a file that names the newest.
const hubPrefix = "models--"

func snapshot(repo string) (string, error) {
	snapshots := filepath.Join(repo, "snapshots")
	if ref, err := os.ReadFile(filepath.Join(repo, "refs", "main")); err == nil {
		dir := filepath.Join(snapshots, filepath.Base(strings.TrimSpace(string(ref))))
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir, nil
		}
	}
	entries, err := os.ReadDir(snapshots)
	if err != nil || len(entries) == 0 {
		return "", fmt.Errorf("%s: a repository of the hub's cache without a snapshot: download it again: %w", repo, fs.ErrNotExist)
	}
	if len(entries) > 1 {
		return "", fmt.Errorf("%w: %s has %d snapshots and no refs/main: give one of them, such as %s", ErrInput, repo, len(entries), filepath.Join(snapshots, entries[0].Name()))
	}
	return filepath.Join(snapshots, entries[0].Name()), nil
}

// refuse looks for files that change what the model computes and are not followed.
func (f *Folder) refuse() error {
	if path := filepath.Join(f.Dir, "adapter_config.json"); exists(path) {
		return fmt.Errorf("%w: %s: an adapter (LoRA or the like) beside the weights changes them: merge it into its base model first (merge_and_unload of peft) and give that", ErrInput, path)
	}
	return nil
}

// noWeights says what a folder without safetensors files holds.
func (f *Folder) noWeights(err error) error {
	found := func(patterns ...string) string {
		for _, p := range patterns {
			if list, err := filepath.Glob(filepath.Join(f.Dir, p)); err == nil && len(list) > 0 {
				return filepath.Base(list[0])
			}
		}
		return ""
	}
	if name := found("pytorch_model*.bin", "pytorch_model.bin.index.json", "consolidated.*.pth", "*.pt", "*.pth"); name != "" {
		return fmt.Errorf("%w: %s has %s, which is a Python pickle and is not read: save the model as safetensors, in Python AutoModelForCausalLM (or what architectures in config.json names) .from_pretrained(DIR).save_pretrained(NEW)", ErrInput, f.Dir, name)
	}
	if name := found("tf_model.h5", "flax_model*.msgpack", "*.onnx", "*.npz"); name != "" {
		return fmt.Errorf("%w: %s has %s, but weights are read from safetensors files only: save the model as such", ErrInput, f.Dir, name)
	}
	if name := found("adapter_model*.safetensors"); name != "" {
		return fmt.Errorf("%w: %s has %s, an adapter: merge it into its base model first (merge_and_unload of peft) and give that", ErrInput, f.Dir, name)
	}
	if name := found("*.safetensors", "*.safetensors.index.json"); name != "" && name != "model.safetensors" && !strings.HasPrefix(name, "model.safetensors.index") {
		return fmt.Errorf("%w; it has %s: if that is the model, name it (%s)", err, name, filepath.Join(f.Dir, name))
	}
	return err
}

// openTokenizer reads the files that turn text into ids.
func (f *Folder) openTokenizer() error {
	files := tokenizer.Files{Class: f.Model.TokenizerClass, ModelType: f.Model.Type, Templates: map[string]string{}}
	for _, one := range []struct {
		name string
		to   *[]byte
	}{{"tokenizer.json", &files.Tokenizer}, {"tokenizer_config.json", &files.Config}, {"special_tokens_map.json", &files.SpecialTokensMap}, {"added_tokens.json", &files.AddedTokens}} {
		data, err := f.read(one.name, 256<<20)
		if err != nil {
			return err
		}
		*one.to = data
	}
	if f.Model.Image != nil {
		return nil
	}
	if files.Tokenizer == nil {
		f.Notes = append(f.Notes, noTokenizer(f.Dir))
		return nil
	}
	templates, err := filepath.Glob(filepath.Join(f.Dir, "additional_chat_templates", "*.jinja"))
	if err != nil {
		return err
	}
	names := []string{"chat_template.jinja"}
	for _, path := range templates {
		names = append(names, filepath.Join("additional_chat_templates", filepath.Base(path)))
	}
	for i, name := range names {
		text, err := f.read(name, 64<<20)
		if err == nil && !utf8.Valid(text) {
			err = fmt.Errorf("%w: %s is no UTF-8 text", ErrInput, filepath.Join(f.Dir, name))
		}
		if err != nil {
			return err
		}
		key := strings.TrimSuffix(filepath.Base(name), ".jinja")
		if i == 0 {
			key = "default"
		}
		if text != nil {
			files.Templates[key] = string(text)
		}
	}
	t, notes, err := tokenizer.ParseFiles(files)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Dir, err)
	}
	f.Tokenizer = t
	f.Notes = append(f.Notes, notes...)
	if n := t.VocabSize(); n > f.Model.Vocab {
		f.Notes = append(f.Notes, fmt.Sprintf("the tokenizer has %d tokens, the model %d: texts with the surplus ones cannot be run", n, f.Model.Vocab))
	}
	return nil
}

func noTokenizer(dir string) string {
	const none = "no tokenizer.json: the file will take token ids, not text"
	for _, pattern := range []string{"tokenizer.model", "*.model", "vocab.json", "*.tiktoken", "tekken.json", "vocab.txt"} {
		if list, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(list) > 0 {
			return none + " (" + filepath.Base(list[0]) + ", which is there, is not read: in Python AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes tokenizer.json)"
		}
	}
	return none
}

// read reads a small file, nil if there is none.
func (f *Folder) read(name string, limit int64) ([]byte, error) {
	path := filepath.Join(f.Dir, name)
	f.files = append(f.files, path)
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular(): // reading a pipe might wait for ever
		return nil, fmt.Errorf("%w: %s is no regular file", ErrInput, path)
	case st.Size() > limit:
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrInput, path, st.Size(), limit)
	}
	data, err := os.ReadFile(path)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
