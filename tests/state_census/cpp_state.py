"""Finds what can hold state in C++ sources: data members, and variables that outlive a call.

No compiler: a tokenizer and a parser of declarations, enough for sources in the form that clang-format gives them.
1. tokens(): the source without comments, preprocessor lines and the contents of strings.
2. Parser: walks namespaces, classes and function bodies. Of each declaration it keeps the declared names, whether they
   are const, and the function that it stands in; expressions are only searched for local classes, statics and
   mutable lambdas.
"""
import collections
import re

# scope: "Trainer", "Trainer::Pending", "Run()::Local", "" for a file's globals.
# kind: "member", "mutable", "static" (outlives a call), "lambda" (its closure changes when it is called).
# handle: const does not reach what it points at (tensors, pointers, callables).
State = collections.namedtuple("State", "path scope name kind is_const handle line")
# public: what a caller can do. mutators: its public methods that are not const; data: its public data that is not const.
Class = collections.namedtuple("Class", "path scope mutators data line")
Token = collections.namedtuple("Token", "text line")

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)|(?P<directive>^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)|(?P<raw>R"(?P<tag>[^(]*)\(.*?\)(?P=tag)")|
    (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')|(?P<number>\.?[0-9](?:[eEpP][+-]|'(?=[0-9a-fA-F])|[\w.])*)|
    (?P<word>[A-Za-z_]\w*)|(?P<sign>::|->|\[\[|\]\]|[-+*/%&|^!=]=|&&|\|\||.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE)
SPECIFIERS = {"static", "constexpr", "inline", "thread_local", "mutable", "virtual", "explicit", "extern", "const",
              "volatile", "constinit", "typename", "struct", "class", "unsigned", "signed", "long", "short", "enum"}
HANDLES = {"Tensor", "unique_ptr", "shared_ptr", "function", "intrusive_ptr", "NamedTensor", "Parameter"}
PAIRS = {"(": ")", "[": "]", "{": "}"}
CLASS_KEYS = {"class", "struct", "union"}


def tokens(text):
    found, line = [], 1
    for match in TOKEN.finditer(text):
        kind, value = match.lastgroup, match.group()
        if kind == "tag" or match.group("raw"):
            value = '""'
        elif kind == "string":
            value = '""'
        if kind not in ("skip", "directive"):
            # "[[" and "]]" are also a[b[i]]: only attributes start a declaration, which is where they are looked for.
            parts = [value[0], value[1]] if value in ("[[", "]]") else [value]
            found += [Token(part, line) for part in parts]
        line += match.group().count("\n")
    return found


class Parser:
    def __init__(self, path, text):
        self.path, self.tokens, self.at = path, tokens(text), 0
        self.states, self.classes = [], []

    def parse(self):
        self.scope_body("", None)
        return self

    def text(self, offset=0):
        at = self.at + offset
        return self.tokens[at].text if at < len(self.tokens) else ""

    def skip_pair(self, at):
        """The index after the bracket that closes the one at `at`."""
        depth = 0
        while at < len(self.tokens):
            if self.tokens[at].text in PAIRS:
                depth += 1
            elif self.tokens[at].text in PAIRS.values():
                depth -= 1
                if depth == 0:
                    return at + 1
            at += 1
        raise ValueError(f"{self.path}: a bracket is not closed")

    def skip_angles(self, at):
        depth = 0
        while True:
            text = self.tokens[at].text
            if text in "([{":
                at = self.skip_pair(at)
                continue
            depth += (text == "<") - (text == ">")
            at += 1
            if depth == 0:
                return at

    # A namespace (`owner` is None) or the inside of a class; ends after its '}' or at the end of the file.
    def scope_body(self, scope, owner):
        public = owner is None or owner["key"] != "class"
        while self.at < len(self.tokens):
            text = self.text()
            if text == "}":
                self.at += 1
                return
            if text in (";",):
                self.at += 1
            elif text in ("public", "private", "protected") and self.text(1) == ":":
                public = text == "public"
                self.at += 2
            elif text == "namespace" or (text == "inline" and self.text(1) == "namespace"):
                while self.text() not in ("{", ";"):
                    self.at += 1
                opened = self.text() == "{"
                self.at += 1
                if opened:
                    self.scope_body(scope, None)
            elif text == "extern" and self.text(1) == '""' and self.text(2) == "{":
                self.at += 3
                self.scope_body(scope, None)
            elif text == "template" and self.text(1) == "<":
                self.at = self.skip_angles(self.at + 1)
            elif text in ("using", "typedef", "static_assert"):
                self.to_semicolon()
            elif text == "friend":
                # A friend can change everything, unless it is defined right here.
                if owner is not None and self.text(1) in CLASS_KEYS:
                    owner["mutators"].append("friend " + self.text(2))
                self.declaration(scope, None, False, ignore=True)
            elif text in CLASS_KEYS and self.class_here():
                self.class_definition(scope, owner, public)
            elif text == "enum":
                self.to_semicolon()
            else:
                self.declaration(scope, owner, public)

    def to_semicolon(self):
        while self.text() != ";":
            self.at = self.skip_pair(self.at) if self.text() in PAIRS else self.at + 1
        self.at += 1

    # Whether a class is defined here, and not only named.
    def class_here(self):
        at = self.at + 1
        while at < len(self.tokens):
            text = self.tokens[at].text
            if text == "{":
                return True
            if text in (";", "=", "(", ")", ">", ",", "*", "&"):
                return False
            if text == ":":  # its bases
                return True
            at = self.skip_angles(at) if text == "<" else self.skip_pair(at) if text == "[" else at + 1
        return False

    def class_definition(self, scope, owner, public):
        key, line = self.text(), self.tokens[self.at].line
        self.at += 1
        name = "<unnamed>"
        while self.text() not in ("{", ":"):
            if self.text() == "[":
                self.at = self.skip_pair(self.at)
            elif self.text() == "<":
                self.at = self.skip_angles(self.at)
            else:
                if self.text() not in ("final", "alignas"):
                    name = name + self.text() if self.text() == "::" or name.endswith("::") else self.text()
                self.at += 1
        while self.text() != "{":
            self.at = self.skip_angles(self.at) if self.text() == "<" else self.at + 1
        self.at += 1
        inner = f"{scope}::{name}" if scope else name
        info = {"key": key, "mutators": [], "data": [], "name": name.split("::")[-1]}
        self.scope_body(inner, info)
        self.classes.append(Class(self.path, inner, tuple(info["mutators"]), tuple(info["data"]), line))
        if self.text() != ";":  # `struct {...} name;`
            self.declaration(scope, owner, public, type_seen=True)

    # One declaration: `specifiers type declarators ;`, or a function.
    def declaration(self, scope, owner, public, type_seen=False, ignore=False, local=False):
        start, line = self.at, self.tokens[self.at].line
        specifiers, parameters, operator = set(), None, False
        at = self.at
        while True:  # finds out whether it is a function
            text = self.tokens[at].text
            if text in SPECIFIERS:
                specifiers.add(text)
            if text == "operator":
                operator = True
                at += 1
                while self.tokens[at].text != "(" or (self.tokens[at + 1].text == ")" and self.tokens[at + 2].text == "("):
                    at += 1
                    if self.tokens[at - 1].text == "(":
                        at += 1
                parameters = at
                break
            if text in ("alignas", "decltype", "__attribute__"):
                at = self.skip_pair(at + 1)
            elif text == "<":
                at = self.skip_angles(at)
            elif text == "[":
                at = self.skip_pair(at)
            elif text == "(":
                if self.tokens[at + 1].text in ("*", "&") or self.is_initializer(at):
                    break
                parameters = at
                break
            elif text in (";", "=", "{", ",", ":"):
                break
            else:
                at += 1
        if parameters is not None:
            self.function(scope, owner, public, start, parameters, specifiers, operator)
        else:
            self.variables(scope, owner, public, start, line, type_seen, ignore, local)

    # `std::string x("text")`, `int y(5)`: what stands in the brackets cannot be parameters.
    def is_initializer(self, at):
        text = self.tokens[at + 1].text
        return text == '""' or text[0].isdigit()

    def function(self, scope, owner, public, start, parameters, specifiers, operator):
        words = [token.text for token in self.tokens[start:parameters]]
        name = "operator" if operator else (words[-1] if words else "")
        # `Trainer::Run` outside of its class.
        qualified = name
        while len(words) >= 3 and words[-2] == "::" and re.match(r"\w", words[-3]):
            qualified = words[-3] + "::" + qualified
            words = words[:-2]
        destructor = "~" in [token.text for token in self.tokens[start:parameters]]
        self.at = self.skip_pair(parameters)
        is_const = False
        while self.text() not in ("{", ";", "="):
            text = self.text()
            is_const |= text == "const"
            if text == ":":  # members of a constructor
                self.at += 1
                while True:
                    while self.text() not in ("(", "{"):
                        self.at = self.skip_angles(self.at) if self.text() == "<" else self.at + 1
                    self.at = self.skip_pair(self.at)
                    if self.text() == "...":
                        self.at += 1
                    if self.text() != ",":
                        break
                    self.at += 1
            elif text in PAIRS:
                self.at = self.skip_pair(self.at)
            else:
                self.at += 1
        is_deleted = False
        if self.text() == "=":
            is_deleted = self.text(1) in ("delete", "default")
            self.to_semicolon()
        elif self.text() == ";":
            self.at += 1
        else:
            inner = f"{scope}::{qualified}()" if scope else f"{qualified}()"
            self.body(inner)
        if owner is None:
            return
        constructor = (name == owner["name"] and not operator) or self.tokens[parameters - 1].text == "="
        if public and not (is_const or is_deleted or constructor or destructor or "static" in specifiers):
            owner["mutators"].append(name + "()")

    # The inside of a function, from its '{' on.
    def body(self, scope):
        end = self.skip_pair(self.at)
        self.at += 1
        while self.at < end:
            text = self.text()
            starts = self.text(-1) in (";", "{", "}", ":")
            if starts and text in CLASS_KEYS and self.class_here():
                self.class_definition(scope, None, False)
                continue
            if starts and text in ("static", "thread_local"):
                self.declaration(scope, None, False, local=True)
                continue
            if text == "mutable":
                self.states.append(State(self.path, scope, "mutable lambda", "lambda", False, True,
                                         self.tokens[self.at].line))
            self.at += 1
        self.at = end

    def variables(self, scope, owner, public, start, line, type_seen, ignore, local):
        self.at = start
        specifiers, words, name, fresh = set(), [], None, True
        while True:
            text = self.text()
            if text in ("=", "{", "(", "[", ":", ",", ";"):
                pointer_name = text == "(" and self.text(1) in ("*", "&")
                if text == "[" and name is None and not words:
                    self.at = self.skip_pair(self.at)  # an attribute
                    continue
                if pointer_name:
                    end = self.skip_pair(self.at)
                    inner = [token.text for token in self.tokens[self.at + 1:end - 1]]
                    words += inner[:-1]
                    name = inner[-1]
                    self.at = end
                if name is not None and not ignore:
                    self.variable(scope, owner, public, line, specifiers, words, name, local)
                name = None
                # To the end of this declarator.
                in_initializer = text == "="
                while self.text() not in (",", ";"):
                    if self.text() in PAIRS:
                        self.at = self.skip_pair(self.at)
                    elif self.text() == "<" and in_initializer and self.tokens[self.at - 1].text.isidentifier() and \
                            self.template_argument_list(self.at):
                        self.at = self.skip_angles(self.at)
                    else:
                        self.at += 1
                at_end = self.text() == ";"
                self.at += 1
                if at_end:
                    return
                words = [word for word in words if word not in ("*", "&")]
                continue
            if text in ("alignas", "decltype", "__attribute__"):
                words.append(text)
                self.at = self.skip_pair(self.at + 1)
                continue
            if text == "<":
                end = self.skip_angles(self.at)
                if name is not None:
                    words.append(name)
                    name = None
                words.append("<" + " ".join(token.text for token in self.tokens[self.at + 1:end - 1]) + ">")
                self.at = end
                continue
            if text in SPECIFIERS or text in CLASS_KEYS:
                specifiers.add(text)
                words.append(text)
            elif text in ("*", "&", "&&", "::") or not re.match(r"\w", text):
                if name is not None:
                    words.append(name)
                    name = None
                words.append(text)
            else:
                if name is not None:
                    words.append(name)
                name = text
                line = self.tokens[self.at].line
            self.at += 1

    # Whether the '<' at `at` opens template arguments (and does not compare): it closes before the statement ends.
    def template_argument_list(self, at):
        depth = 0
        while self.tokens[at].text not in (";", "{", "&&", "||"):
            depth += (self.tokens[at].text == "<") - (self.tokens[at].text == ">")
            if depth == 0:
                return True
            at += 1
        return False

    def variable(self, scope, owner, public, line, specifiers, words, name, local):
        if specifiers & {"constexpr", "extern"} or words in (["class"], ["struct"], ["union"]):  # not made here
            return
        is_const = is_constant(words)
        if owner is None:
            kind = "static"
        elif "static" in specifiers or "thread_local" in specifiers:
            kind = "static"
        elif "mutable" in specifiers:
            kind, is_const = "mutable", False
        else:
            kind = "member"
        if owner is not None and kind == "member" and public and not is_const:
            owner["data"].append(name)
        self.states.append(State(self.path, scope, name, kind, is_const, is_handle(words), line))


# A variable of these type words never changes: const, or a reference, or a pointer that is const itself.
def is_constant(words):
    if "&" in words or "&&" in words:
        return True
    if "*" in words:
        last = len(words) - 1 - words[::-1].index("*")
        return "const" in words[last:]
    return "const" in words


# Through a const variable of these type words something can still be changed.
def is_handle(words):
    flat = " ".join(" ".join(words).replace("<", " < ").replace(">", " > ").split())
    if "*" in flat.split():
        return not re.search(r"\bconst\b[^*]*\*", flat)
    if "&" in flat.split():
        return not flat.split()[0] == "const"
    for holder in HANDLES & set(re.findall(r"\w+", flat)):
        if holder in ("unique_ptr", "shared_ptr") and re.search(holder + r" < const ", flat):
            continue
        return True
    return False


def parse(path, text):
    return Parser(path, text).parse()
