# Lists the servers of a service from uWSGI's cache, and sets a key by RPC.
use strict;
use warnings;
use JSON::XS;

my $json = JSON::XS->new->utf8->allow_nonref;

# The passing instances; undef while Consul has not answered yet.
sub servers {
    my ($name) = @_;
    my $item = uwsgi::cache_get("service/$name", "consul");
    return defined $item ? $json->decode($item)->{instances} : undef;
}

sub set_key {
    my ($key, $value) = @_;
    return $json->decode(uwsgi::call("consul_set", $key, $value));
}

sub query {
    my ($text) = @_;
    return map { s/\+/ /gr =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger } map { /([^=]*)=?(.*)/ } split /&/, $text;
}

sub {
    my ($env) = @_;
    my %answer = (language => "perl");
    if ($env->{PATH_INFO} eq "/set") {
        my %query = query($env->{QUERY_STRING});
        $answer{result} = set_key(@query{qw(key value)});
    }
    else {
        my $found = servers("languages");
        $answer{found} = $found && [map { my %server; @server{qw(node address port)} = @$_{qw(node address port)}; \%server } @$found];
    }
    return [200, ["Content-Type" => "application/json"], [$json->encode(\%answer)]];
};
