# Furnishes an empty Request Tracker for the tests and prints what they need to know as JSON.
# REST 2 of RT 5.0 cannot apply a custom field to a queue nor disable a scrip, Perl can.
use strict;
use warnings;
use utf8;
use JSON;
use RT -init;    # honours RT_SITE_CONFIG and RT_SITE_CONFIG_DIR

sub must {
    my ( $ok, $why ) = @_;
    die 'rt_seed.pl: ' . ( $why // 'unknown' ) . "\n" unless $ok;
    return $ok;
}

my $system = RT->SystemUser;
my ( %queues, %fields, %users );

# Support leaves the first word to the hub; Noisy is the queue with two voices; customers may not write to Locked.
for my $name ( 'Support', 'Noisy', 'Locked' ) {
    my $queue = RT::Queue->new($system);
    must( $queue->Create(
        Name              => $name,
        CorrespondAddress => lc($name) . '@shop.example',
        CommentAddress    => lc($name) . '-comment@shop.example',
    ) );
    $queues{$name} = $queue;
}
my $scrip = RT::Scrip->new($system);
$scrip->LoadByCols( Description => 'On Create Autoreply To Requestors' );
must( $scrip->id, 'the auto-reply scrip is gone' );
must( $scrip->RemoveFromObject(0) );
must( $scrip->AddToObject( ObjectId => $queues{Noisy}->id ) );

for my $name ( 'Case', 'Order', 'Order State', 'Sender', 'Language', 'Customer', 'Segment', 'Earlier Cases', 'Timeline', 'Answers' ) {
    my $field = RT::CustomField->new($system);
    must( $field->Create(
        Name       => $name,
        Type       => $name eq 'Answers' ? 'Text' : 'Freeform',
        MaxValues  => 1,
        LookupType => RT::Ticket->CustomFieldLookupType,
    ) );
    must( $field->AddToObject($_) ) for values %queues;
    $fields{$name} = $field->id;
}

my %people = ( hub => 'Tresse', agent1 => 'Amina Diallo', agent2 => 'Bruno Lefèvre' );
for my $name ( sort keys %people ) {
    my $user = RT::User->new($system);
    must( $user->Create(
        Name         => $name,
        RealName     => $people{$name},
        EmailAddress => "$name\@shop.example",
        Password     => "$name-secret",
        Privileged   => 1,
    ) );
    $users{$name} = $user;
}

my $team = RT::Group->new($system);
must( $team->CreateUserDefinedGroup( Name => 'Team' ) );
must( $team->AddMember( $_->PrincipalId ) ) for values %users;
my $everyone = RT::Group->new($system);
$everyone->LoadSystemInternalGroup('Everyone');
for my $queue ( values %queues ) {
    must( $team->PrincipalObj->GrantRight( Right => $_, Object => $queue ) )
        for qw(SeeQueue ShowTicket ShowTicketComments ShowOutgoingEmail CreateTicket ReplyToTicket
               CommentOnTicket ModifyTicket OwnTicket TakeTicket Watch SeeCustomField ModifyCustomField);
    next if $queue->Name eq 'Locked';

    # Customers write by mail: the gate files their words under their own names.
    must( $everyone->PrincipalObj->GrantRight( Right => $_, Object => $queue ) ) for qw(CreateTicket ReplyToTicket);
}
must( $users{hub}->PrincipalObj->GrantRight( Right => 'ManageAuthTokens', Object => $RT::System ) );

my $token = RT::AuthToken->new( RT::CurrentUser->new( $users{hub} ) );
my ( $id, $why, $secret ) = $token->Create( Owner => $users{hub}->Id, Description => 'Tresse' );
must( $id, $why );

print encode_json( {
    token  => $secret,
    queues => { map { $_ => $queues{$_}->id } keys %queues },
    fields => \%fields,
    users  => { map { $_ => $users{$_}->id } keys %users },
} ), "\n";
