# What is installed; included by the Makefile, whose variables it uses. DESTDIR stages, PREFIX stays in what is installed.
.PHONY: install uninstall man deb static
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
MODELS := $(sort $(shell cd models/bundled && find . -type f))
BASH_COMPLETION := $(DATADIR)/bash-completion/completions/pith
ZSH_COMPLETION := $(DATADIR)/zsh/site-functions/_pith
FISH_COMPLETION := $(DATADIR)/fish/vendor_completions.d/pith.fish

# Pages with the options that the program tells itself; without scdoc there are none.
man: $(PITH)
	@rm -rf $(BUILD)/man
	@tools/man/make.sh ./$(PITH) $(BUILD)/man

install: all man
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DATADIR)/pith
	install -m 755 $(PITH) $(DESTDIR)$(BINDIR)/pith
	install -m 644 src/pith.h $(DESTDIR)$(INCLUDEDIR)/pith.h
	install -m 644 $(BUILD)/libpith.a $(DESTDIR)$(LIBDIR)/
	install -m 755 $(BUILD)/libpith.so.$(VERSION) $(DESTDIR)$(LIBDIR)/
	ln -sf libpith.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libpith.so.$(SOVERSION)
	ln -sf libpith.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libpith.so
	umask 022; sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	  -e 's|@PKGS@|$(PKGS)|' $(if $(call on,$(OPENMP)),,-e 's|-fopenmp|-pthread|') tools/pith.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/pith.pc
	cd models/bundled && for f in $(MODELS); do install -D -m 644 $$f $(DESTDIR)$(DATADIR)/pith/$$f; done
	for f in $(BUILD)/man/*; do [ ! -f $$f ] || install -D -m 644 $$f $(DESTDIR)$(MANDIR)/man$${f##*.}/$${f##*/}; done
	install -d $(DESTDIR)$(dir $(BASH_COMPLETION)) $(DESTDIR)$(dir $(ZSH_COMPLETION)) $(DESTDIR)$(dir $(FISH_COMPLETION))
	umask 022; ./$(PITH) completion bash > $(DESTDIR)$(BASH_COMPLETION)
	umask 022; ./$(PITH) completion zsh > $(DESTDIR)$(ZSH_COMPLETION)
	umask 022; ./$(PITH) completion fish > $(DESTDIR)$(FISH_COMPLETION)

# What install puts there, and folders of pith's own; nothing else, whatever lies beside it.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/pith $(DESTDIR)$(INCLUDEDIR)/pith.h $(DESTDIR)$(LIBDIR)/pkgconfig/pith.pc
	rm -f $(DESTDIR)$(LIBDIR)/libpith.a $(DESTDIR)$(LIBDIR)/libpith.so*
	rm -f $(DESTDIR)$(BASH_COMPLETION) $(DESTDIR)$(ZSH_COMPLETION) $(DESTDIR)$(FISH_COMPLETION)
	rm -f $(DESTDIR)$(MANDIR)/man1/pith.1 $(DESTDIR)$(MANDIR)/man1/pith-*.1 $(DESTDIR)$(MANDIR)/man3/pith.3 $(DESTDIR)$(MANDIR)/man5/pith-formats.5
	for f in $(MODELS); do rm -f $(DESTDIR)$(DATADIR)/pith/$$f; done
	[ ! -d $(DESTDIR)$(DATADIR)/pith ] || find $(DESTDIR)$(DATADIR)/pith -depth -type d -empty -delete

# Debian's packages, built for /usr in a folder of its own: build/*.deb. Their debuggers look by build id.
deb:
	@tools/deps.sh build deb
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/deb PREFIX=/usr LDFLAGS="$(LDFLAGS) -Wl,--build-id=sha1" all man
	@MAKE="$(MAKE)" tools/deb.sh $(BUILD)/deb $(BUILD)

# One program for any Linux of this architecture: build/pith-static. Without `serve` and the editing of lines, whose libraries
# cannot be in it, and OpenMP, whose opens others at run time; cJSON from Debian's source, since Debian packs no static one.
static:
	@tools/deps.sh build static
	@CC="$(CC)" PACKAGES=cjson tools/sources.sh $(BUILD)/static/cjson
	@PKG_CONFIG_PATH=$(abspath $(BUILD))/static/cjson/lib/pkgconfig $(MAKE) --no-print-directory BUILD=$(BUILD)/static STATIC=1 SERVE=0 EDIT=0 OPENMP=0 $(BUILD)/static/pith
	@strip -o $(BUILD)/pith-static $(BUILD)/static/pith
